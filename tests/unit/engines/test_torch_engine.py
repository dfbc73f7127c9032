import msgspec
import pytest

from tensordyno.errors import Unsupported

pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["torch", "torch-compile"])
def test_a_network_that_came_as_onnx_is_refused(make_engine, tiny, name):
    engine = make_engine(name)
    engine.receipt()
    with pytest.raises(Unsupported, match="came as an ONNX file") as refused:
        engine.load(msgspec.structs.replace(tiny, weights=None))
    assert "onnxruntime" in refused.value.remedy
