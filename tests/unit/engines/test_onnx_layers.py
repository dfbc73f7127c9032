import numpy as np
import pytest

from tensordyno.engines.onnx_layers import count_layers

onnx = pytest.importorskip("onnx")
onnx_graphs = pytest.importorskip("onnx_graphs")


node, graph, saved = onnx_graphs.node, onnx_graphs.graph, onnx_graphs.saved
CONSTANTS = {
    "q": np.ones((4, 3, 1, 1), np.int8),
    "s": np.float32(0.1),
    "z": np.int8(0),
    "m": np.ones((8, 5), np.float32),
}
SCALED = ["images", "s", "z", "q", "s", "z", "s", "z"]


@pytest.mark.parametrize(
    ("nodes", "int8", "fp32"),
    [
        ([node("Conv", ["images", "q"])], 0, 1),
        ([node("Conv", ["images", "q"], domain="com.microsoft.nchwc")], 0, 1),
        ([node("FusedConv", ["images", "q"], domain="com.microsoft")], 0, 1),
        ([node("QLinearConv", SCALED)], 1, 0),
        ([node("QLinearConv", SCALED, domain="com.microsoft")], 1, 0),
        ([node("QLinearConv", SCALED, "a"), node("Conv", ["a", "q"])], 1, 1),
        ([node("MatMul", ["images", "m"])], 0, 1),
        ([node("MatMul", ["images", "images"])], 0, 0),  # of two activations: no layer
        ([node("MatMulInteger", ["images", "q"])], 1, 0),
        ([node("MatMulInteger", ["images", "images"])], 0, 0),
        ([node("QLinearAdd", SCALED, domain="com.microsoft")], 0, 0),
        # INT8 in memory, float32 in the arithmetic
        ([node("DequantizeLinear", ["q", "s", "z"], "w"), node("MatMul", ["images", "w"])], 0, 1),
    ],
)
def test_layers_are_counted_by_what_they_compute_in(tmp_path, nodes, int8, fp32):
    path = saved(graph(nodes, CONSTANTS), tmp_path / "g.onnx")
    assert count_layers(path, onnx) == {"int8": int8, "fp32": fp32}
