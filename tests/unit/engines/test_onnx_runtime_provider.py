import pytest

from tensordyno.engines.onnx_runtime_provider import provider_for
from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def provider(asked=None, device="cpu", precision=Precision.FP32, available=ALL, **options):
    return provider_for(asked, device, precision, options, available)


@pytest.mark.parametrize(
    ("asked", "device", "name"),
    [
        (None, "cpu", "CPUExecutionProvider"),
        (None, "cuda:1", "CUDAExecutionProvider"),
        ("cpu", "cpu", "CPUExecutionProvider"),
        ("tensorrt", "cuda:0", "TensorrtExecutionProvider"),
        ("CUDAExecutionProvider", "cuda:0", "CUDAExecutionProvider"),
    ],
)
def test_names(asked, device, name):
    assert provider(asked, device).name == name


def test_a_provider_that_is_not_in_this_build_names_those_that_are():
    with pytest.raises(Unsupported, match="has no CUDAExecutionProvider; it has CPUExecutionProvider"):
        provider("cuda", "cuda:0", available=["CPUExecutionProvider"])


def test_an_unknown_provider_names_the_known():
    with pytest.raises(Unsupported, match="AzureExecutionProvider") as refused:
        provider("AzureExecutionProvider", available=[*ALL, "AzureExecutionProvider"])
    assert "CPUExecutionProvider" in refused.value.remedy


@pytest.mark.parametrize(("asked", "device"), [("cuda", "cpu"), ("cpu", "cuda:0")])
def test_a_provider_of_another_device_is_refused(asked, device):
    with pytest.raises(Unsupported, match=f"the trial asks for {device}"):
        provider(asked, device)


@pytest.mark.parametrize(("precision", "tf32"), [(Precision.FP32, "0"), (Precision.TF32, "1")])
def test_cuda_float32_is_strict(precision, tf32):
    options = provider(device="cuda:2", precision=precision).options()
    assert options == {"device_id": "2", "use_tf32": tf32}


def test_tensorrt_float32_is_strict_by_the_environment():
    assert provider("tensorrt", "cuda:0").environment() == {"NVIDIA_TF32_OVERRIDE": "0"}
    assert provider("tensorrt", "cuda:0", Precision.TF32).environment() == {}
    assert provider("cpu").environment() == {}


def test_only_cuda_needs_an_fp16_graph():
    assert provider(device="cuda:0", precision=Precision.FP16).converts_graph
    tensorrt = provider("tensorrt", "cuda:0", Precision.FP16)
    assert not tensorrt.converts_graph
    assert tensorrt.options()["trt_fp16_enable"] == "1"


def test_options_asked_for_win():
    options = provider(device="cuda:0", device_id=3, cudnn_conv_algo_search="HEURISTIC").options()
    assert options["device_id"] == "3"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"


def test_int8_on_a_gpu_is_tensorrt_s_alone():
    with pytest.raises(Unsupported, match="no INT8 convolutions") as refused:
        provider(device="cuda:0", precision=Precision.INT8)
    assert "tensorrt" in refused.value.remedy
    tensorrt = provider("tensorrt", "cuda:0", Precision.INT8)
    assert tensorrt.options()["trt_int8_enable"] == "1" and not tensorrt.shows_graph
    assert provider(precision=Precision.INT8).shows_graph
