from pathlib import Path

import numpy as np
import pytest

from tensordyno.engines.onnx_runtime import _half_precision
from tensordyno.errors import Unsupported
from tensordyno.quantize.base import Form
from tensordyno.vocabulary import Boundary, Precision

ort = pytest.importorskip("onnxruntime")


@pytest.fixture
def images(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"][:2]


def test_a_receipt_names_the_providers_of_this_build(make_engine):
    receipt = make_engine("onnxruntime", provider="cpu").receipt()
    assert receipt.provider == "CPUExecutionProvider"
    assert receipt.version == ort.__version__
    assert "CPUExecutionProvider" in receipt.settings["providers available"]
    assert "git-commit-id" in receipt.build_flags


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_the_cpu_provider_refuses_what_it_would_compute_in_float32(make_engine, precision):
    with pytest.raises(Unsupported, match="would compute in float32"):
        make_engine("onnxruntime", precision).receipt()


def test_the_batch_size_is_fixed_in_the_session(make_engine, tiny, images):
    engine = make_engine("onnxruntime")
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.InvalidArgument):
        engine.bind(np.repeat(images, 2, axis=0), Boundary.HOST).run()


def test_a_graph_of_another_shape_is_refused(make_engine, tiny, images):
    engine = make_engine("onnxruntime")
    engine.receipt()
    engine.load(tiny)
    with pytest.raises(Unsupported, match=r"the batch is \[2, 3, 16, 8\]"):
        engine.compile(np.ascontiguousarray(images[..., :8]))


def test_an_fp16_graph_keeps_float32_edges(tiny, tmp_path, images):
    pytest.importorskip("onnx")
    path = _half_precision(tiny.onnx, tmp_path / "cache", "onnxruntime")
    assert path.stat().st_size < tiny.onnx.stat().st_size
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    with np.load(tiny.reference) as stored:
        expected = stored["logits"][:2]
    answer = session.run(None, {session.get_inputs()[0].name: images})[0]
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected, atol=0.05)
    assert not np.array_equal(answer, expected)


def compiled(engine, model, images):
    engine.receipt()
    engine.load(model)
    engine.compile(images)
    return engine


def test_int8_layers_are_counted_in_the_graph_of_the_very_session(make_engine, tiny_qdq, images):
    engine = compiled(make_engine("onnxruntime", Precision.INT8), tiny_qdq(Form.UINT8), images)
    assert engine.arithmetic() == {"int8": 3, "fp32": 0}
    written = Path(engine._optimized.name)
    assert written.is_dir()
    engine.close()
    assert not written.exists()


def test_a_float32_graph_has_no_int8_layers(make_engine, tiny, images):
    engine = compiled(make_engine("onnxruntime", Precision.INT8), tiny, images)
    assert engine.arithmetic() == {"int8": 0, "fp32": 3}
    engine.close()


def test_other_precisions_write_no_graph(make_engine, tiny, images):
    engine = compiled(make_engine("onnxruntime"), tiny, images)
    assert engine.arithmetic() == {} and engine._optimized is None


def test_the_form_follows_the_device(make_engine):
    assert make_engine("onnxruntime", Precision.INT8).activations is Form.UINT8
    assert make_engine("onnxruntime", Precision.INT8, device="cuda:0").activations is Form.INT8
