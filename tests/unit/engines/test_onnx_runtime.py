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


def test_fewer_images_than_the_batch_fill_it(make_engine, tiny, images):
    engine = make_engine("onnxruntime", batch_size=4)
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    answer = engine.answer(images)
    assert len(answer) == 4
    np.testing.assert_array_equal(answer[2:], answer[:2])


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


@pytest.mark.parametrize("boundary", Boundary)
def test_fewer_images_than_a_batch_are_repeated(make_engine, tiny, boundary):
    with np.load(tiny.reference) as stored:
        few, expected = stored["images"][:2], stored["logits"][:2]
    engine = compiled(make_engine("onnxruntime", batch_size=5), tiny, np.resize(few, (5, *few.shape[1:])))
    step = engine.bind(few, boundary)
    step.run()
    np.testing.assert_allclose(step.output(), expected[[0, 1, 0, 1, 0]], atol=1e-4)
    engine.close()


def test_another_batch_size_needs_no_new_process(make_engine, tiny, images):
    engine = compiled(make_engine("onnxruntime"), tiny, images)
    assert engine.resizes == {"cuda"}
    engine.release()
    engine.resize(1)
    engine.compile(images[:1])
    step = engine.bind(images[:1], Boundary.DEVICE)
    step.run()
    with np.load(tiny.reference) as stored:
        np.testing.assert_allclose(step.output(), stored["logits"][:1], atol=1e-4)
    engine.close()


def test_a_released_int8_session_takes_its_account_along(make_engine, tiny_qdq, images):
    engine = compiled(make_engine("onnxruntime", Precision.INT8), tiny_qdq(Form.UINT8), images)
    written = Path(engine._optimized.name)
    engine.release()
    assert not written.exists() and engine.arithmetic() == {}
    engine.compile(images)
    assert engine.arithmetic() == {"int8": 3, "fp32": 0}
    engine.close()


def test_without_a_cuda_build_a_gpu_is_refused_with_what_to_type(make_engine):
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(Unsupported, match="has no CUDAExecutionProvider") as refused:
        make_engine("onnxruntime", device="cuda:0").receipt()
    assert "onnxruntime-gpu" in refused.value.remedy


def test_options_of_the_gpu_change_nothing_on_the_cpu(make_engine):
    receipt = make_engine("onnxruntime", search="heuristic", nhwc=True).receipt()
    assert not any("cudnn" in key or "nhwc" in key for key in receipt.settings) and receipt.libraries == {}
