import pytest

from tensordyno.engines.base import ENGINES, engine_class
from tensordyno.errors import UnknownName
from tensordyno.vocabulary import Precision


def test_the_catalogue_lists_engines_and_not_their_shared_code():
    assert ENGINES.names() == ("forge", "null", "onnxruntime", "openvino", "torch", "torch-compile")


def test_an_unknown_engine_offers_the_nearest():
    with pytest.raises(UnknownName, match="no engine called 'onnxruntim'") as unknown:
        engine_class("onnxruntim")
    assert "onnxruntime" in unknown.value.remedy


def test_a_refusal_gives_the_engine_s_own_reason_first():
    onnxruntime = engine_class("onnxruntime")
    assert onnxruntime.refusal("cpu", Precision.FP32) is None
    assert "no bf16 kernels" in onnxruntime.refusal("cpu", Precision.BF16)
    assert "no conversion" in onnxruntime.refusal("cuda", Precision.BF16)


@pytest.mark.parametrize(
    ("precision", "reason"), [(Precision.TF32, "NVIDIA"), (Precision.FP8, "calibrated network")]
)
def test_a_refusal_falls_back_to_a_reason_that_holds_for_all(precision, reason):
    assert reason in engine_class("openvino").refusal("cpu", precision)


def test_eager_pytorch_says_where_int8_is_to_be_had():
    assert "torch-compile" in engine_class("torch").refusal("cpu", Precision.INT8)
    assert "torch-compile" not in engine_class("torch").refusal("cuda", Precision.INT8)
    assert "CPUs only" in engine_class("torch-compile").refusal("cuda", Precision.INT8)


def test_a_refusal_names_a_kind_of_device_that_the_engine_does_not_know():
    assert engine_class("openvino").refusal("cuda", Precision.FP32) == "openvino does not run on cuda devices"
