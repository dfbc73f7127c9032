import pytest

from tensordyno.engines.onnx_runtime_provider import Wishes, provider_for
from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def provider(asked=None, device="cpu", precision=Precision.FP32, available=ALL, tensorrt=10, **wishes):
    return provider_for(Wishes(provider=asked, **wishes), device, precision, available, tensorrt)


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
    assert (options["device_id"], options["use_tf32"]) == ("2", tf32)


@pytest.mark.parametrize("asked", ["cuda", "tensorrt"])
def test_on_gpus_float32_is_strict_by_the_environment_too(asked):
    for precision in Precision:
        if (asked, precision) == ("cuda", Precision.INT8):
            continue
        variables = provider(asked, "cuda:0", precision).environment()
        assert variables == ({} if precision is Precision.TF32 else {"NVIDIA_TF32_OVERRIDE": "0"})
    assert provider("cpu").environment() == {}


@pytest.mark.parametrize(
    ("asked", "tensorrt", "converts"),
    [("cuda", None, True), ("tensorrt", 10, False), ("tensorrt", 11, True), ("tensorrt", None, True)],
)
def test_what_computes_in_the_graph_s_types_needs_an_fp16_graph(asked, tensorrt, converts):
    def made(precision):
        return provider(asked, "cuda:0", precision, tensorrt=tensorrt)

    assert made(Precision.FP16).converts_graph is converts
    assert not made(Precision.FP32).converts_graph and not made(Precision.TF32).converts_graph
    by_flag = made(Precision.FP16).options().get("trt_fp16_enable") == "1"
    assert by_flag is not converts


def test_the_version_of_tensorrt_is_a_matter_of_its_provider_alone():
    assert provider("tensorrt", "cuda:0", tensorrt=11).tensorrt == 11
    assert provider("cuda", "cuda:0", tensorrt=11).tensorrt is None
    assert provider(tensorrt=11).options() == {}


def test_options_asked_for_win():
    wished = {"device_id": 3, "cudnn_conv_algo_search": "DEFAULT", "gpu_mem_limit": 2**30}
    options = provider(device="cuda:0", options=wished, search="heuristic", nhwc=True).options()
    assert options["device_id"] == "3" and options["gpu_mem_limit"] == "1073741824"
    assert (options["cudnn_conv_algo_search"], options["prefer_nhwc"]) == ("DEFAULT", "1")
    assert provider(device="cuda:0", search="heuristic").options()["cudnn_conv_algo_search"] == "HEURISTIC"


def test_int8_on_a_gpu_is_tensorrt_s_alone():
    with pytest.raises(Unsupported, match="no INT8 convolutions") as refused:
        provider(device="cuda:0", precision=Precision.INT8)
    assert "tensorrt" in refused.value.remedy
    tensorrt = provider("tensorrt", "cuda:0", Precision.INT8)
    assert tensorrt.options()["trt_int8_enable"] == "1" and not tensorrt.shows_graph
    assert provider(precision=Precision.INT8).shows_graph
