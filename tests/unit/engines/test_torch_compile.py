import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tensordyno.errors import Unsupported
from tensordyno.quantize.base import Form
from tensordyno.vocabulary import Boundary, Precision

torch = pytest.importorskip("torch")
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")


@pytest.fixture
def images(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"][:2]


def compiled(engine, tiny, images):
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    return engine


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("inductor")


@needs_compiler
def test_compiles_once_says_how_and_keeps_its_kernels_in_the_cache(make_engine, tiny, images, cache):
    from torch._dynamo.utils import counters

    engine = compiled(make_engine("torch-compile", cache=cache), tiny, images)
    choices = engine.choices()
    assert choices["layout"] == "channels-last (engine's default)"
    assert choices["graphs"] == "1"
    assert choices["inductor cache"].startswith("cold: ")
    assert list((cache / "inductor").rglob("*.so"))
    for boundary in Boundary:
        for _ in range(2):
            engine.bind(images, boundary).run()
    assert counters["stats"]["unique_graphs"] == 1  # no second compilation hides in a timed batch
    engine.close()

    again = compiled(make_engine("torch-compile", cache=cache), tiny, images)
    assert again.choices()["inductor cache"].startswith("warm: ")
    again.close()


def test_no_compiler_is_a_reason(make_engine, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match="'no-such-compiler' is not found") as refused:
        make_engine("torch-compile").receipt()
    assert "CXX" in refused.value.remedy


def test_code_that_does_not_build_is_a_reason(make_engine, tiny, images, monkeypatch, tmp_path):
    compiler = tmp_path / "broken-compiler"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    engine = make_engine("torch-compile")
    engine.receipt()
    engine.load(tiny)
    broken = torch._inductor.config.patch({"cpp.cxx": (str(compiler),)})
    with broken, pytest.raises(Unsupported, match="cannot compile this network here"):
        engine.compile(images)
    engine.close()


def test_a_network_that_dynamo_leaves_alone_is_not_called_compiled(make_engine, tiny, images):
    engine = make_engine("torch-compile")
    engine.receipt()
    engine.load(tiny)
    engine.module.forward = torch.compiler.disable(engine.module.forward)
    with pytest.raises(Unsupported, match="compiled nothing"):
        engine.compile(images)
    engine.close()


def test_only_frozen_weights_on_a_cpu_go_through_autocast(make_engine):
    def dtype(**options):
        return make_engine("torch-compile", Precision.BF16, **options).weight_dtype()

    assert dtype() is torch.float32
    assert dtype(freezing=False) is torch.bfloat16
    assert dtype(device="cuda:0") is torch.bfloat16


def test_int8_needs_frozen_weights(make_engine):
    with pytest.raises(Unsupported, match="frozen weights only"):
        make_engine("torch-compile", Precision.INT8, freezing=False).receipt()


@needs_compiler
def test_a_q_dq_network_becomes_int8_kernels_and_keeps_its_meaning(make_engine, tmp_path):
    """With all that inductor has patterns for: convolutions and their sums, pools (rounded up), concat."""
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    onnx_graphs, qdq_network = pytest.importorskip("onnx_graphs"), pytest.importorskip("qdq_network")
    node, random = onnx_graphs.node, np.random.default_rng(5)

    def weights(*shape):
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {"a": weights(16, 3, 3, 3), "b": weights(16, 16, 3, 3), "c": weights(10, 32)}
    nodes = [
        node("Conv", ["images", "a"], "1", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["1"], "2"),
        node("MaxPool", ["2"], "3", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Conv", ["3", "b"], "4", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Add", ["3", "4"], "5"),
        node("Relu", ["5"], "6"),
        node("Concat", ["6", "3"], "7", axis=1),
        node("GlobalAveragePool", ["7"], "8"),
        node("Flatten", ["8"], "9"),
        node("Gemm", ["9", "c"], "logits", transB=1),
    ]
    images = random.standard_normal((2, 3, 12, 12)).astype(np.float32)
    path = onnx_graphs.saved(onnx_graphs.graph(nodes, constants, images.shape), tmp_path / "model.onnx")
    model = SimpleNamespace(onnx=path, facts=SimpleNamespace(name="m"))
    qdq = qdq_network.quantized(model, tmp_path / "qdq", images).onnx(Form.RECTIFIED)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = ort.InferenceSession(qdq, options).run(None, {"images": images})[0]

    engine = make_engine("torch-compile", Precision.INT8)
    engine.receipt()
    engine.load(SimpleNamespace(onnx=qdq))
    engine.compile(images)
    step = engine.bind(images, Boundary.HOST)
    step.run()
    steps_db = 10 * np.log10(np.square(expected).sum() / np.square(step.output() - expected).sum())
    assert engine.arithmetic() == {"int8": 3, "fp32": 0}
    assert steps_db > 35  # a value that lies between two steps may fall to either
    engine.close()
