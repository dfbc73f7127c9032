import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from random_networks import Network, answers

from tensordyno.errors import DataError
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.records.calibration import TensorRange


def small(**changes):
    network = Network(7)
    network.head(network.node("Relu", [network.conv("images", 4)]))
    return network.model(**changes)


def saved(model, path):
    onnx.save(model, path / "net.onnx")
    return path / "net.onnx"


def test_a_quantized_network_is_refused(tmp_path):
    graph = open_graph(saved(small(), tmp_path))
    placement = place(graph)
    one = TensorRange(threshold=1.0, low=-1.0, high=1.0)
    made = write_qdq(graph, placement, dict.fromkeys(placement.tensors, one), Form.UINT8)
    with pytest.raises(DataError) as caught:
        open_graph(saved(made, tmp_path))
    assert caught.value.slug == "already-quantized"
    assert "DequantizeLinear" in caught.value.line() or "QuantizeLinear" in caught.value.line()


@pytest.mark.parametrize("kind", ["QLinearConv", "ConvInteger", "DynamicQuantizeLinear", "QGemm"])
def test_every_way_of_being_quantized_is_seen(kind, tmp_path):
    model = small()
    model.graph.node.append(helper.make_node(kind, ["images"], ["x"], domain="com.microsoft"))
    with pytest.raises(DataError, match=kind) as caught:
        open_graph(saved(model, tmp_path))
    assert caught.value.slug == "already-quantized"


def test_an_old_opset_is_raised(tmp_path):
    network = Network(8)
    clip = helper.make_node("Clip", [network.conv("images", 4)], ["held"], min=0.0, max=6.0)
    network.nodes.append(clip)
    network.channels["held"] = 4
    network.head("held")
    old = helper.make_model(
        helper.make_graph(
            network.nodes,
            "old",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 8, 8])]
            + [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in network.weights],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
            network.weights,
        ),
        opset_imports=[helper.make_opsetid("", 9)],
        ir_version=3,
    )
    model = open_graph(saved(old, tmp_path))
    assert model.opset_import[0].version == 13
    assert [value.name for value in model.graph.input] == ["images"]
    assert len(model.graph.node[1].input) == 3
    images = network.images()
    np.testing.assert_allclose(answers(model, images), answers(old, images), rtol=1e-5, atol=1e-6)


def test_an_operation_that_cannot_be_raised_is_named(tmp_path):
    model = small(opset=9)
    model.graph.node[0].op_type = "NoSuchOperation"
    with pytest.raises(DataError) as caught:
        open_graph(saved(model, tmp_path))
    assert caught.value.slug == "old-opset"
    assert "opset 9" in caught.value.line() and "\n" not in caught.value.line()


def test_every_node_gets_a_name_of_its_own(tmp_path):
    model = small()
    for node in model.graph.node:
        node.name = "" if node.op_type == "Relu" else "same"
    names = [node.name for node in open_graph(saved(model, tmp_path)).graph.node]
    assert len(set(names)) == len(names) and all(names)


def test_functions_are_written_out(tmp_path):
    model = small()
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opset = helper.make_opsetid("", 17)
    model.functions.append(helper.make_function("own", "Positive", ["a"], ["b"], body, [opset]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[1].op_type, model.graph.node[1].domain = "Positive", "own"
    opened = open_graph(saved(model, tmp_path))
    assert [node.op_type for node in opened.graph.node] == [
        *("Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm")
    ]
