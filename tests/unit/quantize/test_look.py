import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.quantize.look import graph_addition, look, open_session, run

NODES = [
    ("Conv", ["images", "w"], "signed", {}),
    ("Relu", ["signed"], "relu", {}),
    ("Add", ["relu", "ten"], "raised", {}),
    ("Relu", ["raised"], "above", {}),
    ("Clip", ["signed", "zero", "ten"], "clipped", {}),
    ("Clip", ["signed", "minus", "ten"], "clipped_below", {}),
    ("MaxPool", ["relu"], "pooled", {"kernel_shape": [1, 1], "strides": [2, 2]}),
    ("Concat", ["relu", "clipped"], "joined", {"axis": 1}),
    ("Concat", ["relu", "signed"], "joined_signed", {"axis": 1}),
    ("Reshape", ["relu", "windows"], "parts", {}),
    ("Flatten", ["pooled"], "logits", {}),
]


@pytest.fixture(scope="module")
def model():
    weights = {
        "w": np.stack([np.ones((3, 1, 1)), -np.ones((3, 1, 1))]).astype(np.float32),
        "zero": np.float32(0),
        "ten": np.float32(10),
        "minus": np.float32(-1),
        "windows": np.array([-1, 2, 2, 4], np.int64),
    }
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], **more) for op, inputs, output, more in NODES],
        "test",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def seen(model):
    names = ["images", *(output for _, _, output, _ in NODES)]
    return {tensor.name: tensor for tensor in look(model, names, np.ones((1, 3, 4, 4), np.float32), 1)}


def test_a_floor_is_where_nothing_can_be_negative_and_zero_occurs(seen):
    """`above` cannot be negative either, but nothing in it is 0; its smallest value is to be looked for."""
    assert {name for name, tensor in seen.items() if tensor.floor} == {
        *("relu", "clipped", "pooled", "joined", "parts", "logits"),
    }


def test_sizes_are_those_of_one_image(seen):
    assert (seen["images"].shape, seen["images"].rows) == ((3, 4, 4), 1)
    assert seen["joined"].per_image == (4, 4, 4)
    assert seen["logits"].per_image == (8,)


def test_windows_are_rows_of_an_image(seen):
    assert (seen["parts"].shape, seen["parts"].rows) == ((2, 2, 4), 2)
    assert seen["parts"].per_image == (2, 2, 2, 4)


def test_an_addition_is_a_model_with_more_in_it(model):
    graph = helper.make_graph(
        [helper.make_node("Mul", ["logits", "two"], ["twice"])],
        "more",
        [],
        [helper.make_tensor_value_info("twice", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32([2]), "two")],
    )
    merged = onnx.load_from_string(model.SerializeToString() + graph_addition(graph))
    assert len(merged.graph.node) == len(NODES) + 1
    assert merged.graph.name == "test"
    images = np.ones((3, 3, 4, 4), np.float32)
    logits, twice = run(
        open_session(model, graph_addition(graph), 1, len(images)), ["logits", "twice"], images
    )
    assert np.array_equal(twice, 2 * logits)
    assert logits.any()
