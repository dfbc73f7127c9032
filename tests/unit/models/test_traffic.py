"""Elements that a network moves: small graphs by hand (tests/contract/test_models.py has whole networks)."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.models.traffic import activation_elements

IMAGE, CHANNELS, SIZE = 3 * 8 * 8, 4, 4 * 8 * 8  # elements of the image; of what a convolution makes of it


def weight(name, *shape):
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def graph(nodes, *weights, shape=("N", 3, 8, 8), opsets=()):
    """From `images` to whatever the last node makes, called `y`."""
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(weights),
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20), *opsets])


def conv(source, target, kernel="w", window=3, **attributes):
    pads = {"pads": [window // 2] * 4}
    return helper.make_node(
        "Conv", [source, kernel], [target], kernel_shape=[window] * 2, **(pads | attributes)
    )


FIRST, SECOND, POINT = weight("w", 4, 3, 3, 3), weight("v", 4, 4, 3, 3), weight("p", 4, 4, 1, 1)
node = helper.make_node


def test_a_convolution_reads_its_input_and_writes_its_output_once_with_what_is_fused():
    plain = graph([conv("images", "y")], FIRST)
    fused = graph(
        [conv("images", "a"), node("Relu", ["a"], ["b"]), node("Mul", ["b", "half"], ["y"])],
        *(FIRST, numpy_helper.from_array(np.array(0.5, np.float32), "half")),
    )
    assert activation_elements(plain) == activation_elements(fused) == IMAGE + SIZE


def test_pooling_and_softmax_read_and_write_on_their_own():
    pool = node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2])
    made = graph([conv("images", "a"), pool, node("Softmax", ["b"], ["y"])], FIRST)
    assert activation_elements(made) == IMAGE + SIZE + (SIZE + SIZE // 4) + 2 * SIZE // 4


def test_a_residual_sum_costs_one_more_read():
    nodes = [
        *(conv("images", "a"), node("Relu", ["a"], ["b"])),
        *(conv("b", "c", "v"), node("Add", ["c", "b"], ["d"]), node("Relu", ["d"], ["y"])),
    ]
    assert activation_elements(graph(nodes, FIRST, SECOND)) == IMAGE + SIZE + 2 * SIZE + SIZE


def test_a_sum_that_no_layer_can_take_along_is_read_and_written():
    """Both branches are needed again, as in a dense or pre-activation network."""
    nodes = [
        *(conv("images", "a"), conv("a", "b", "v")),
        *(node("Add", ["a", "b"], ["c"]), node("Concat", ["a", "b", "c"], ["d"], axis=1)),
        node("GlobalAveragePool", ["d"], ["y"]),
    ]
    expected = IMAGE + SIZE + 2 * SIZE + 3 * SIZE + (3 * SIZE + 12)
    # b is read by the sum and by the concatenation
    assert activation_elements(graph(nodes, FIRST, SECOND)) == expected


def test_what_is_made_element_by_element_of_one_activation_is_that_activation():
    """SiLU: x times sigmoid(x)."""
    nodes = [
        conv("images", "a"),
        node("Sigmoid", ["a"], ["s"]),
        node("Mul", ["a", "s"], ["b"]),
        conv("b", "y", "v"),
    ]
    assert activation_elements(graph(nodes, FIRST, SECOND)) == IMAGE + SIZE + 2 * SIZE


def test_a_gate_is_not_mistaken_for_what_it_scales():
    """Squeeze and excitation: the large branch is read and written once more."""
    nodes = [
        *(conv("images", "a"), node("GlobalAveragePool", ["a"], ["g"])),
        *(conv("g", "h", "p", window=1), node("Sigmoid", ["h"], ["s"]), node("Mul", ["a", "s"], ["y"])),
    ]
    squeeze = (SIZE + CHANNELS) + 2 * CHANNELS
    assert activation_elements(graph(nodes, FIRST, POINT)) == IMAGE + SIZE + squeeze + (
        SIZE + CHANNELS + SIZE
    )


def test_a_window_smaller_than_its_stride_reads_only_what_it_looks_at():
    nodes = [conv("images", "a"), conv("a", "y", "p", window=1, strides=[2, 2])]
    assert activation_elements(graph(nodes, FIRST, POINT)) == IMAGE + SIZE + 2 * SIZE // 4


def test_quantization_and_changes_of_shape_are_free():
    scale, zero = weight("s"), numpy_helper.from_array(np.array(0, np.int8), "z")
    shape = numpy_helper.from_array(np.array([-1, SIZE], np.int64), "shape")
    nodes = [
        *(
            node("QuantizeLinear", ["images", "s", "z"], ["q"]),
            node("DequantizeLinear", ["q", "s", "z"], ["i"]),
        ),
        *(conv("i", "a"), node("Reshape", ["a", "shape"], ["flat"]), node("Gemm", ["flat", "dense"], ["y"])),
    ]
    assert activation_elements(graph(nodes, FIRST, scale, zero, shape, weight("dense", SIZE, 10))) == (
        IMAGE + SIZE + SIZE + 10
    )


def test_a_product_of_two_activations_reads_both():
    nodes = [node("Transpose", ["images"], ["t"], perm=[0, 1, 3, 2]), node("Relu", ["images"], ["r"])]
    pooled = node("AveragePool", ["t"], ["u"], kernel_shape=[1, 1])
    made = graph([*nodes, pooled, node("MatMul", ["r", "u"], ["y"])])
    assert activation_elements(made) == 2 * IMAGE + 3 * IMAGE


def test_an_operator_without_a_shape_makes_it_unknown():
    nodes = [node("Mystery", ["images"], ["a"], domain="somebody"), node("Softmax", ["a"], ["y"])]
    assert activation_elements(graph(nodes, opsets=[helper.make_opsetid("somebody", 1)])) == 0


def test_the_model_is_left_as_it_was_and_large_weights_need_no_bytes():
    large = weight("dense", IMAGE, 1000)
    shape = numpy_helper.from_array(np.array([-1, IMAGE], np.int64), "shape")
    model = graph(
        [node("Reshape", ["images", "shape"], ["f"]), node("Gemm", ["f", "dense"], ["y"])], large, shape
    )
    before = model.SerializeToString()
    assert activation_elements(model) == IMAGE + 1000
    assert model.SerializeToString() == before


@pytest.mark.parametrize("batch", ["N", 1, 16])
def test_it_is_of_one_image_whatever_the_batch(batch):
    assert activation_elements(graph([conv("images", "y")], FIRST, shape=(batch, 3, 8, 8))) == IMAGE + SIZE
