import numpy as np
import pytest
from onnx import TensorProto
from onnx_classifiers import check_like_runtime, classifier, read, refused_form
from onnx_graphs import node

from tensordyno.forge.graph import Affine, Convolution, GlobalAveragePool, Reshape

WEIGHT = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
POOLED = node("GlobalAveragePool", ["images"], "pooled")


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Flatten", ["images"], axis=1)], {}),
        ([node("Flatten", ["images"], axis=-3)], {}),
        ([node("Reshape", ["images", "t"])], {"t": np.array([0, -1])}),
        ([node("Reshape", ["images", "t"])], {"t": np.array([-1, 192])}),
        ([POOLED, node("Squeeze", ["pooled", "a"])], {"a": np.array([2, 3])}),
        ([POOLED, node("Squeeze", ["pooled", "a"])], {"a": np.array([-1, -2])}),
    ],
)
def test_features_from_images(nodes, constants):
    graph = check_like_runtime(classifier(nodes, constants, flat=False))
    assert isinstance(graph.nodes[-1], Reshape)
    assert len(graph.tensor("logits").shape) == 1


def test_images_from_features():
    constants = {"t": np.array([0, 48, 2, 2]), "a": np.array([2, 3])}
    back = [node("Flatten", ["images"], "f"), node("Reshape", ["f", "t"], "r")]
    assert check_like_runtime(classifier(back, constants)).tensor("r").shape == (48, 2, 2)
    raised = [node("Flatten", ["images"], "f"), node("Unsqueeze", ["f", "a"], "r")]
    assert check_like_runtime(classifier(raised, constants)).tensor("r").shape == (192, 1, 1)


def test_axes_that_are_attributes():
    nodes = [node("GlobalAveragePool", ["images"], "pooled"), node("Squeeze", ["pooled"], axes=[2, 3])]
    assert check_like_runtime(classifier(nodes, opset=11, flat=False)).tensor("logits").shape == (3,)


def computed_target():
    """What torch's older exporter leaves for `x.view(x.shape[0], -1)`."""
    return [
        node("Shape", ["images"], "shape"),
        node("Gather", ["shape", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "first"], "batch"),
        node("Concat", ["batch", "rest"], "target", axis=0),
        node("Reshape", ["images", "target"]),
    ]


@pytest.mark.parametrize("batch", ["N", 1, 5])
def test_targets_computed_from_shapes(batch):
    constants = {"zero": np.array(0), "first": np.array([0]), "rest": np.array([-1])}
    graph = check_like_runtime(
        classifier(computed_target(), constants, (batch, 3, 8, 8), flat=False),
        n=3 if batch == "N" else batch,
    )
    assert [type(each) for each in graph.nodes] == [Reshape]


def test_a_part_of_a_shape_and_its_size():
    nodes = [
        node("Shape", ["images"], "batch", end=1),
        node("Shape", ["images"], "sides", start=1),
        node("ReduceProd", ["sides"], "many", keepdims=1),
        node("Concat", ["batch", "many"], "target", axis=0),
        node("Reshape", ["images", "target"]),
    ]
    assert check_like_runtime(classifier(nodes, flat=False)).tensor("logits").shape == (192,)
    nodes = [
        node("Size", ["images"], "all"),
        node("Shape", ["images"], "batch", end=1),
        node("Div", ["all", "batch"], "many"),
        node("Concat", ["batch", "many"], "target", axis=0),
        node("Reshape", ["images", "target"]),
    ]
    assert check_like_runtime(classifier(nodes, flat=False)).tensor("logits").shape == (192,)


def test_a_fixed_batch_in_a_constant_target():
    model = classifier([node("Reshape", ["images", "t"])], {"t": np.array([4, -1])}, (4, 3, 8, 8), flat=False)
    assert check_like_runtime(model, n=4).tensor("logits").shape == (192,)


def test_what_does_nothing_is_left_out():
    nodes = [
        node("Identity", ["images"], "i"),
        node("Dropout", ["i", "ratio"], "d"),
        node("Cast", ["d"], "c", to=TensorProto.FLOAT),
        node("Reshape", ["c", "t"], "r"),
        node("Relu", ["r"]),
    ]
    model = classifier(nodes, {"ratio": np.float32(0.5), "t": np.array([0, 3, 8, 8])})
    graph = check_like_runtime(model)
    assert [each.inputs for each in graph.nodes] == [("images",), ("relu_out",)]


def test_channels_last_images_are_read_channels_first():
    nodes = [node("Transpose", ["images"], "first", perm=TO_FIRST), node("Conv", ["first", "w"])]
    graph = check_like_runtime(classifier(nodes, {"w": WEIGHT}, ("N", 8, 9, 3)), channels_last=True)
    assert graph.tensor("images").shape == (3, 8, 9)
    assert graph.nodes[0].inputs == ("images",)


def test_preprocessing_of_channels_last_images():
    nodes = [
        node("Sub", ["images", "mean"], "centred"),
        node("QuantizeLinear", ["centred", "s", "z"], "steps"),
        node("DequantizeLinear", ["steps", "s", "z"], "rounded"),
        node("Transpose", ["rounded"], "first", perm=TO_FIRST),
        node("Conv", ["first", "w"]),
    ]
    constants = {"mean": np.array([1, 2, 3], np.float32), "s": np.float32(0.05), "z": np.int8(0), "w": WEIGHT}
    graph = check_like_runtime(classifier(nodes, constants, ("N", 8, 9, 3)), channels_last=True)
    np.testing.assert_array_equal(graph.nodes[0].offset, [-1, -2, -3])


def test_two_transposes_that_undo_each_other():
    nodes = [
        node("Transpose", ["images"], "last", perm=TO_LAST),
        node("Relu", ["last"], "r"),
        node("Transpose", ["r"], "first", perm=TO_FIRST),
        node("Conv", ["first", "w"]),
    ]
    graph = check_like_runtime(classifier(nodes, {"w": WEIGHT}))
    assert isinstance(graph.nodes[1], Convolution)


def test_a_transpose_of_pixels_that_are_one_is_free():
    nodes = [POOLED, node("Transpose", ["pooled"], "last", perm=TO_LAST), node("Flatten", ["last"])]
    graph = check_like_runtime(classifier(nodes, flat=False))
    assert [type(each) for each in graph.nodes] == [GlobalAveragePool, Reshape]


def test_a_constant_for_each_channel_of_channels_last_images():
    nodes = [node("Mul", ["images", "c"], "m"), node("Transpose", ["m"], perm=TO_FIRST)]
    constants = {"c": np.array([[[1, 2, 3]]], np.float32)}
    graph = check_like_runtime(classifier(nodes, constants, ("N", 8, 9, 3)), channels_last=True)
    assert isinstance(graph.nodes[0], Affine)


def reshaped(*target):
    return classifier(
        [node("Reshape", ["images", "t"], name="p"), node("Relu", ["reshape_out"])], {"t": target}
    )


def transposed(*perm):
    nodes = [node("Transpose", ["images"], "t", name="t", perm=perm), node("Flatten", ["t"], name="p")]
    return classifier(nodes, flat=False)


def cast(to):
    return classifier(
        [node("Cast", ["images"], "i", name="p", to=to), node("Cast", ["i"], to=TensorProto.FLOAT)]
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: reshaped(1, -1), "'Reshape' that mixes the images of a batch (node 'p')"),
        (lambda: reshaped(0, 3, 64), "'Reshape' to the shape (N, 3, 64) (node 'p')"),
        (lambda: reshaped(0, 7, -1), "'Reshape' of the shape (2, 3, 8, 8) (node 'p')"),
        (lambda: transposed(*TO_LAST), "'Flatten' of transposed images (node 'p')"),
        (lambda: transposed(1, 0, 2, 3), "'Transpose' that moves the batch axis (node 't')"),
        (lambda: cast(TensorProto.INT32), "'Cast' to INT32 (node 'p')"),
        (
            lambda: classifier([node("Conv", ["images", "w"], name="p")], {"w": WEIGHT}, ("N", 8, 9, 3)),
            "'Conv' of transposed images (node 'p')",
        ),
        (
            lambda: classifier(
                [node("Dropout", ["images", "r", "t"], name="p")], {"r": np.float32(0.5), "t": np.array(True)}
            ),
            "'Dropout' in training mode (node 'p')",
        ),
    ],
)
def test_other_forms_are_refused(model, expected):
    assert refused_form(model()) == expected


def test_shapes_are_those_of_onnx():
    """Against ONNX's inference over a whole file."""
    import onnx
    from random_networks import Network, _concat, _depthwise, _residual

    network = Network(3)
    x = network.max_pool(_residual(network, _concat(network, _depthwise(network, "images"))))
    network.head(x, hidden=True)
    model = network.model()
    graph = read(model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        if value.name in graph.tensors:
            sides = tuple(each.dim_value for each in value.type.tensor_type.shape.dim)
            assert (1, *graph.tensor(value.name).shape) == sides
