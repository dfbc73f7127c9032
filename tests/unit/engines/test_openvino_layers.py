"""On real compiled networks: convolutions, and matrix products fused into one subgraph."""

from types import SimpleNamespace

import numpy as np
import pytest

from tensordyno.engines.openvino_layers import layer_formats
from tensordyno.quantize.base import Form

ov = pytest.importorskip("openvino")
pytest.importorskip("onnx")
onnx_graphs = pytest.importorskip("onnx_graphs")
qdq_network = pytest.importorskip("qdq_network")


node = onnx_graphs.node
RANDOM = np.random.default_rng(0)
SHAPE = (2, 1, 6, 6)


def weights(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def network(tmp_path):
    """Convolution and three linear layers, the last two of which the plug-in fuses."""
    nodes = [
        node("Conv", ["images", "a", "ab"], "1", kernel_shape=[3, 3]),
        node("Relu", ["1"], "2"),
        node("Flatten", ["2"], "3"),
        node("Gemm", ["3", "b", "bb"], "4", transB=1),
        node("Relu", ["4"], "5"),
        node("Gemm", ["5", "c", "cb"], "6", transB=1),
        node("Relu", ["6"], "7"),
        node("Gemm", ["7", "d", "db"], "logits", transB=1),
    ]
    shapes = {"a": (8, 1, 3, 3), "b": (120, 128), "c": (84, 120), "d": (10, 84)}
    constants = {name: weights(*shape) for name, shape in shapes.items()}
    constants |= {f"{name}b": weights(shape[0]) for name, shape in shapes.items()}
    model = onnx_graphs.graph(nodes, constants, SHAPE)
    return onnx_graphs.saved(model, tmp_path / "float.onnx")


def counted(path):
    core = ov.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return dict(layer_formats(compiled))


def test_every_layer_is_seen_in_float32_and_in_int8(tmp_path):
    path = network(tmp_path)
    assert counted(path) == {"fp32": 4}
    model = SimpleNamespace(onnx=path, facts=SimpleNamespace(name="m"))
    images = RANDOM.standard_normal(SHAPE).astype(np.float32)
    made = qdq_network.quantized(model, tmp_path / "q", images)
    assert counted(made.onnx(Form.UINT8)) == {"int8": 4}
