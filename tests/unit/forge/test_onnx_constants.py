import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_classifiers import classifier, refused_form
from onnx_graphs import graph, node

from tensordyno.forge.onnx_constants import Constants, Rounded, static_names
from tensordyno.forge.onnx_operation import Operation

RANDOM = np.random.default_rng(0)


def folded(nodes, constants):
    """Constants after all nodes, and the values that ONNX's own evaluator finds."""
    model = graph(nodes, constants)
    found = Constants(model, 20)
    assert all(found.fold(Operation(each)) for each in nodes)
    expected = ReferenceEvaluator(model).run(None, {"images": np.zeros((2, 3, 8, 8), np.float32)})[0]
    return found, expected


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_real_values_of_rounded_constants(axis):
    shape = (4, 5, 6)
    constants = {
        "i": RANDOM.integers(0, 256, shape).astype(np.uint8),
        "s": RANDOM.uniform(0.01, 1, shape[axis]).astype(np.float32),
        "z": RANDOM.integers(0, 256, shape[axis]).astype(np.uint8),
    }
    found, expected = folded([node("DequantizeLinear", ["i", "s", "z"], "x", axis=axis)], constants)
    np.testing.assert_array_equal(found.array("x"), expected)
    assert found.rounded("x").axis == axis % 3


@pytest.mark.parametrize("order", [[1, 2, 0], [2, 0, 1], None])
def test_transposed_ones_keep_their_integers(order):
    constants = {
        "i": RANDOM.integers(-127, 128, (4, 5, 6)).astype(np.int8),
        "s": np.arange(1, 6, dtype=np.float32),
    }
    turned = node("Transpose", ["x"], "y", **({"perm": order} if order else {}))
    found, expected = folded([node("DequantizeLinear", ["i", "s"], "x", axis=1), turned], constants)
    assert isinstance(found.rounded("y"), Rounded)
    np.testing.assert_array_equal(found.array("y"), expected)


def test_what_is_computed_from_rounded_ones_is_real():
    constants = {"i": np.array([1, -2], np.int8), "s": np.float32(0.5), "two": np.float32(2)}
    nodes = [
        node("DequantizeLinear", ["i", "s"], "x"),
        node("Identity", ["x"], "y"),
        node("Mul", ["y", "two"]),
    ]
    found, expected = folded(nodes, constants)
    assert found.rounded("y") is not None and found.rounded("mul_out") is None
    np.testing.assert_array_equal(found.array("mul_out"), expected)


def test_blocks_of_scales_are_real():
    constants = {"i": np.arange(8, dtype=np.int8).reshape(4, 2), "s": np.ones((2, 2), np.float32)}
    operation = node("DequantizeLinear", ["i", "s"], "x", axis=0, block_size=2)
    found = Constants(graph([operation], constants, opset=21), 21)
    assert found.fold(Operation(operation))
    assert found.rounded("x") is None
    np.testing.assert_array_equal(found.array("x"), constants["i"])


def test_what_depends_on_no_image():
    nodes = [
        node("Shape", ["images"], "shape"),
        node("Gather", ["shape", "c"], "n"),
        node("Add", ["images", "c"], "x"),
        node("RandomNormal", [], "noise", shape=[1]),
        node("Add", ["noise", "c"], "y"),
    ]
    assert static_names(map(Operation, nodes), ["c"]) == {"c", "shape", "n"}


def test_what_cannot_be_computed_is_refused():
    nodes = [node("MatMul", ["a", "a"], "product", name="p"), node("Add", ["images", "product"])]
    assert (
        refused_form(classifier(nodes, {"a": np.ones((2, 3), np.float32)}))
        == "'MatMul' of constants (node 'p')"
    )


def test_unknown_names_are_not_constant():
    found = Constants(graph([node("Relu", ["images"])], {"c": np.float32(1)}), 20)
    assert "c" in found and "images" not in found
    assert isinstance(found.array("c"), np.ndarray)
    assert found.rounded("c") is None
