import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_classifiers import classifier, only, read, refusal
from onnx_graphs import node

from tensordyno.errors import DataError, MissingPackage
from tensordyno.forge.graph import Activation
from tensordyno.forge.onnx_reader import read_graph


def test_an_unsupported_operation_is_named_with_its_node(tmp_path):
    nodes = [node("Resize", ["images", "", "s"], "up", name="/up/Resize")]
    onnx.save(classifier(nodes, {"s": np.ones(4, np.float32)}), tmp_path / "resnet.onnx")
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "resnet.onnx")
    assert caught.value.slug == "forge-unsupported"
    assert caught.value.sentence == "resnet.onnx: forge has no operation 'Resize' (node '/up/Resize')."
    assert "--engine onnxruntime" in caught.value.remedy


def test_several_are_named_once_each_and_the_rest_counted():
    kinds = ["Sigmoid", "Tanh", "Sigmoid", "Erf", "Elu", "Selu", "Softsign", "Exp"]
    names = ["images", *(f"x{position}" for position in range(len(kinds)))]
    nodes = [node(kind, [names[i]], names[i + 1]) for i, kind in enumerate(kinds)]
    assert refusal(classifier(nodes)).sentence == (
        "The ONNX graph: forge has no operations 'Sigmoid' (node 'x0'), 'Tanh' (node 'x1'), "
        "'Erf' (node 'x3'), 'Elu' (node 'x4'), 'Selu' (node 'x5') and 2 more."
    )


def test_they_are_named_before_anything_else_is_looked_at():
    """The convolution has 1-D weights, the zero point is uneven, and the input has five channels."""
    nodes = [
        node("Conv", ["images", "w"], "c"),
        node("QuantizeLinear", ["c", "s", "z"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], "d"),
        node("Sigmoid", ["d"]),
    ]
    constants = {"w": np.ones((4, 5, 3), np.float32), "s": np.float32(1), "z": np.uint8(3)}
    error = refusal(classifier(nodes, constants, ("N", 5, 8)))
    assert error.sentence.endswith("'Sigmoid' (node 'sigmoid_out').")


def test_operations_of_other_domains_are_named_with_them():
    nodes = [helper.make_node("QLinearAdd", ["images", "images"], ["x"], name="a", domain="com.microsoft")]
    assert "'com.microsoft:QLinearAdd' (node 'a')" in refusal(classifier(nodes)).sentence


def test_operations_that_the_scores_do_not_need_do_no_harm():
    model = classifier([node("Relu", ["images"])])
    model.graph.node.append(node("Sigmoid", ["images"], "aside"))
    model.graph.output.append(helper.make_tensor_value_info("aside", TensorProto.FLOAT, ("N", 3, 8, 8)))
    assert only(model, Activation).output == "relu_out"
    assert "aside" not in read(model).tensors


def test_any_operation_may_compute_constants():
    constants = {"a": np.array([4.0, 16.0], np.float32)}
    nodes = [
        node("Sqrt", ["a"], "root"),
        node("ReduceMax", ["root"], "high", keepdims=0),
        node("Clip", ["images", "", "high"]),
    ]
    assert only(classifier(nodes, constants), Activation).clamp.high == 4


def test_random_numbers_are_no_constants():
    nodes = [node("RandomNormal", [], "noise", shape=[3, 1, 1]), node("Mul", ["images", "noise"])]
    assert "'RandomNormal' (node 'noise')" in refusal(classifier(nodes)).sentence


def test_branches_are_named_even_where_the_condition_is_constant():
    inner = [
        helper.make_graph(
            [node("Relu", ["images"], name)], name, [], [helper.make_empty_tensor_value_info(name)]
        )
        for name in ("then", "else")
    ]
    nodes = [node("If", ["yes"], then_branch=inner[0], else_branch=inner[1])]
    error = refusal(classifier(nodes, {"yes": np.array(True)}))
    assert error.slug == "forge-unsupported" and "'If' (node 'if_out')" in error.sentence


def test_functions_are_read_as_the_nodes_that_they_hold():
    function = helper.make_function(
        "own", "Rectify", ["x"], ["y"], [node("Relu", ["x"], "y")], [helper.make_opsetid("", 20)]
    )
    model = classifier(
        [helper.make_node("Rectify", ["images"], ["r"], domain="own", name="f")], functions=[function]
    )
    assert only(model, Activation).inputs == ("images",)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(DataError) as missing:
        read_graph(tmp_path / "no.onnx")
    assert missing.value.slug == "missing-onnx"
    (tmp_path / "half.onnx").write_bytes(classifier([node("Relu", ["images"])]).SerializeToString()[:60])
    with pytest.raises(DataError) as broken:
        read_graph(tmp_path / "half.onnx")
    assert broken.value.slug == "broken-onnx"
    with pytest.raises(DataError) as rubbish:
        read_graph(b"no onnx")
    assert rubbish.value.slug == "broken-onnx"
    assert rubbish.value.sentence.startswith("The ONNX graph is not a complete ONNX model: ")


def test_without_onnx_the_remedy_names_forges_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackage) as missing:
        read_graph(b"any")
    assert "tensordyno[forge]" in missing.value.remedy


def test_what_is_no_classifier():
    error = refusal(classifier([node("Relu", ["images"])], flat=False))
    assert error.slug == "not-a-classifier"
    assert error.sentence.endswith("its output 'logits' has the shape (N, 3, 8, 8).")
    constant = classifier([node("Identity", ["c"])], {"c": np.ones((1, 5), np.float32)}, flat=False)
    assert refusal(constant).sentence.endswith("its output 'logits' has the shape of a constant.")
    five = classifier([node("Relu", ["images"])], shape=("N", 5, 8, 8))
    assert refusal(five).sentence.endswith("its input has the shape (N, 5, 8, 8).")


def test_an_old_file_is_refused_with_the_opset():
    error = refusal(classifier([node("Relu", ["images"])], opset=8))
    assert error.slug == "old-opset"
    assert "opset 8" in error.sentence


def test_a_node_without_a_name_is_named_by_its_result():
    assert only(classifier([node("Relu", ["images"])]), Activation).name == "relu_out"
