import pytest

from tensordyno.engines.onnx_runtime_cuda import (
    CUDA,
    TENSORRT,
    cuda_options,
    misplaced,
    nodes_by_provider,
    remedy,
    session_refusal,
    strictness,
    tensorrt_major,
    tensorrt_options,
)
from tensordyno.models.base import BATCH_AXIS
from tensordyno.vocabulary import Precision

LIBRARY = "capi/libonnxruntime_providers_tensorrt.so"
CPU = "CPUExecutionProvider"
ELSEWHERE = "AzureExecutionProvider"  # in every build, and runs nothing: a GPU provider that did not start


def test_options_of_cuda():
    assert cuda_options(Precision.FP16, 1, "exhaustive", nhwc=False) == {
        "device_id": "1",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "do_copy_in_default_stream": "1",
        "prefer_nhwc": "0",
    }


@pytest.mark.parametrize(
    ("precision", "fp16", "int8"),
    [
        (Precision.FP32, "0", "0"),
        (Precision.TF32, "0", "0"),
        (Precision.FP16, "1", "0"),
        (Precision.INT8, "0", "1"),
    ],
)
def test_tensorrt_up_to_10_is_told_by_flags_and_later_ones_by_the_graph(precision, fp16, int8):
    told = {"device_id": "0", "trt_fp16_enable": fp16, "trt_int8_enable": int8}
    assert tensorrt_options(precision, 0, 10) == tensorrt_options(precision, 0, 8) == told
    assert tensorrt_options(precision, 0, 11) == tensorrt_options(precision, 0, None) == {"device_id": "0"}


@pytest.mark.parametrize(
    ("content", "major"),
    [
        (b"\x7fELF\0libcudart.so.13\0libnvinfer.so.10\0libnvonnxparser.so.10\0", 10),
        (b"\x7fELF\0libnvinfer_plugin.so.11\0libnvinfer.so.11\0", 11),
        (b"\x7fELF\0", None),
    ],
)
def test_the_version_of_tensorrt_is_the_one_that_was_linked(tmp_path, content, major):
    (tmp_path / "capi").mkdir()
    (tmp_path / LIBRARY).write_bytes(content)
    assert tensorrt_major(tmp_path) == major


def test_without_its_library_there_is_no_tensorrt(tmp_path):
    assert tensorrt_major(tmp_path) is None


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([], ""),
        ([(CUDA, ["Conv", "Relu"])], ""),
        (
            [(CUDA, ["Conv"]), (CPU, ["Shape"]), (CPU, ["Shape"]), (CPU, ["Gather"])],
            "3 of 4 nodes of this network (Shape, Gather) would run on CPUExecutionProvider instead of "
            "CUDAExecutionProvider.",
        ),
    ],
)
def test_nodes_that_would_run_elsewhere_are_counted(parts, sentence):
    assert misplaced(iter(parts), CUDA) == sentence


@pytest.mark.parametrize(
    ("error", "provider", "parts"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_tensorrt.so "
            "with error: libnvinfer.so.10: cannot open shared object file: No such file or directory",
            TENSORRT,
            ["could not load Tensorrt", ": libnvinfer.so.10: cannot open", "pip install 'tensorrt==10.*'"],
        ),
        (
            "x.cc:857 CUDA_PATH is set but CUDA wasn't able to be loaded. Please install the "
            "correct version\nof CUDA",
            CUDA,
            ["could not load CUDAExecutionProvider", "onnxruntime-gpu[cuda,cudnn]"],
        ),
        (
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1",
            CUDA,
            ["CUDA driver version is insufficient"],
        ),
    ],
)
def test_why_a_provider_does_not_start_is_one_line(error, provider, parts):
    refused = session_refusal(RuntimeError(error), provider, 10)
    assert refused is not None and "\n" not in refused.line()
    for part in parts:
        assert part in refused.line()


def test_other_errors_are_left_alone():
    assert session_refusal(RuntimeError("Invalid rank for input"), CUDA, None) is None


def test_what_to_type_names_the_version_where_it_is_known():
    assert remedy(TENSORRT, None) == "Type: pip install tensorrt"
    assert "onnxruntime-gpu" in remedy(CUDA, 10)


# -- the signs as ONNX Runtime itself gives them -----------------------------------------------------------


@pytest.fixture
def session_on(tiny):
    ort = pytest.importorskip("onnxruntime")

    def make(provider, settings):
        if provider not in ort.get_available_providers():
            pytest.skip(f"this ONNX Runtime has no {provider}")
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_free_dimension_override_by_name(BATCH_AXIS, 2)
        for key, value in settings.items():
            options.add_session_config_entry(key, value)
        return ort.InferenceSession(str(tiny.onnx), options, providers=[provider], enable_fallback=0)

    return make


def test_a_provider_that_runs_nothing_is_found_out(session_on):
    ort = pytest.importorskip("onnxruntime")
    if not hasattr(ort.InferenceSession, "get_provider_graph_assignment_info"):
        pytest.skip("this ONNX Runtime keeps no record of its nodes")
    session = session_on(ELSEWHERE, strictness(ort.InferenceSession))
    assert session.get_providers()[0] == ELSEWHERE  # which alone proves nothing
    found = misplaced(nodes_by_provider(session), ELSEWHERE)
    assert "Conv" in found and f"would run on {CPU} instead of {ELSEWHERE}" in found
    assert misplaced(nodes_by_provider(session_on(CPU, strictness(ort.InferenceSession))), CPU) == ""


def test_an_older_onnx_runtime_refuses_the_session_instead(session_on):
    settings = strictness(object)
    with pytest.raises(Exception, match="CPU EP") as caught:
        session_on(ELSEWHERE, settings)
    refused = session_refusal(caught.value, ELSEWHERE, None)
    assert refused is not None
    assert (
        refused.sentence == f"ONNX Runtime would run parts of this network on the CPU instead of {ELSEWHERE}."
    )


def test_a_session_that_keeps_no_record_has_no_nodes_to_show():
    assert nodes_by_provider(object()) == []
