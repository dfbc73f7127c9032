import os

import numpy as np
import pytest

from tensordyno.models.quantized_graph import int8_layers, is_quantized

onnx = pytest.importorskip("onnx")
onnx_graphs = pytest.importorskip("onnx_graphs")

node, graph, saved = onnx_graphs.node, onnx_graphs.graph, onnx_graphs.saved
CONSTANTS = {"s": np.float32(0.1), "z": np.int8(0), "q": np.ones((3, 3, 1, 1), np.int8)}
ROUNDED = [node("QuantizeLinear", ["images", "s", "z"], "i"), node("DequantizeLinear", ["i", "s", "z"], "x")]
WEIGHTS = node("DequantizeLinear", ["q", "s", "z"], "w")
INTEGERS = ["i", "s", "z", "q", "s", "z", "s", "z"]


@pytest.mark.parametrize(
    ("nodes", "quantized", "layers"),
    [
        ([node("Conv", ["images", "q"])], False, 0),
        ([*ROUNDED, WEIGHTS, node("Conv", ["x", "w"])], True, 1),
        ([*ROUNDED, WEIGHTS, node("Conv", ["x", "w"], "y"), node("Conv", ["y", "w"])], True, 1),
        ([WEIGHTS, node("Conv", ["images", "w"])], True, 0),  # INT8 in memory only
        ([ROUNDED[0], node("QLinearConv", INTEGERS)], True, 1),
        ([node("DynamicQuantizeLinear", ["images"], "i"), node("ConvInteger", ["i", "q"])], True, 1),
    ],
)
def test_quantized_files_are_seen_without_onnx_and_their_layers_counted(tmp_path, nodes, quantized, layers):
    model = graph(nodes, CONSTANTS)
    assert is_quantized(saved(model, tmp_path / "m.onnx")) is quantized
    assert int8_layers(model.graph) == layers


def test_a_name_is_no_operator(tmp_path):
    model = graph([node("Relu", ["images"], "QuantizeLinear")])
    model.graph.node[0].doc_string = "DequantizeLinear"
    assert not is_quantized(saved(model, tmp_path / "m.onnx"))


def test_a_file_that_changes_is_read_again(tmp_path):
    path = saved(graph([node("Relu", ["images"])]), tmp_path / "m.onnx")
    assert not is_quantized(path)
    saved(graph(ROUNDED, CONSTANTS), path)
    os.utime(path, ns=(1, 1))
    assert is_quantized(path)


def test_what_cannot_be_read_is_somebody_else_s_to_refuse(tmp_path):
    (tmp_path / "empty.onnx").touch()
    assert not any(is_quantized(tmp_path / name) for name in ("empty.onnx", "missing.onnx", "."))
