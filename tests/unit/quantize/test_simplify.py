import numpy as np
import onnx
import pytest
from onnx import helper
from random_networks import CLASSES, Network, answers

from tensordyno.quantize.graph import open_graph


def check(network, path, expected):
    """The opened graph has these operations and answers as before."""
    model = network.model()
    onnx.save(model, path / "net.onnx")
    opened = open_graph(path / "net.onnx")
    onnx.checker.check_model(opened, full_check=True)
    assert [node.op_type for node in opened.graph.node] == expected
    images = network.images(3)
    np.testing.assert_allclose(answers(opened, images), answers(model, images), rtol=1e-4, atol=1e-5)
    return opened


def long(*values):
    return np.array(values, np.int64)


def dense(network, x, features):
    network.channels[x] = features
    network.gemm(x, CLASSES, result="logits")


def test_identity_and_dropout_go(tmp_path):
    network = Network(1)
    x = network.node("Identity", [network.conv("images", 4)])
    x = network.node("Dropout", [network.node("Identity", [x])])
    network.head(x)
    check(network, tmp_path, ["Conv", "GlobalAveragePool", "Flatten", "Gemm"])


def test_an_identity_that_makes_an_output_stays(tmp_path):
    network = Network(1)
    x = network.node("Flatten", [network.node("GlobalAveragePool", [network.conv("images", 4)])])
    network.node("Identity", [network.gemm(x, CLASSES)], result="logits")
    check(network, tmp_path, ["Conv", "GlobalAveragePool", "Flatten", "Gemm", "Identity"])


@pytest.mark.parametrize("axes", [(2, 3), (-1, -2), (3, 2)])
@pytest.mark.parametrize("keep", [0, 1])
def test_a_mean_over_the_image_is_a_global_pool(axes, keep, tmp_path):
    network = Network(2)
    x = network.node("ReduceMean", [network.conv("images", 4)], axes=list(axes), keepdims=keep)
    x = network.node("Flatten", [x]) if keep else x
    dense(network, x, 4)
    check(network, tmp_path, ["Conv", "GlobalAveragePool", "Flatten", "Gemm"])


def test_axes_may_be_an_input(tmp_path):
    network = Network(2)
    x = network.node("ReduceMean", [network.conv("images", 4), network.constant(long(2, 3))])
    dense(network, network.node("Flatten", [x]), 4)
    model = network.model(opset=18)
    onnx.save(model, tmp_path / "net.onnx")
    kinds = [node.op_type for node in open_graph(tmp_path / "net.onnx").graph.node]
    assert kinds == ["Conv", "GlobalAveragePool", "Flatten", "Gemm"]


def test_a_pool_over_the_whole_image_is_a_global_pool(tmp_path):
    network = Network(3)
    x = network.node("AveragePool", [network.conv("images", 4)], kernel_shape=[8, 8])
    dense(network, network.node("Flatten", [x]), 4)
    check(network, tmp_path, ["Conv", "GlobalAveragePool", "Flatten", "Gemm"])


def test_other_means_stay(tmp_path):
    network = Network(3)
    x = network.node("ReduceMean", [network.conv("images", 4)], axes=[1], keepdims=1)
    x = network.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    dense(network, network.node("Flatten", [x]), 16)
    check(network, tmp_path, ["Conv", "ReduceMean", "AveragePool", "Flatten", "Gemm"])


def computed_flatten(network, x):
    """x.view(x.size(0), -1), as the old exporter of PyTorch writes it."""
    shape = network.node("Shape", [x])
    batch = network.node("Gather", [shape, network.constant(np.int64(0))], axis=0)
    parts = [network.node("Unsqueeze", [batch, network.constant(long(0))]), network.constant(long(-1))]
    return network.node("Reshape", [x, network.node("Concat", parts, axis=0, channels=0)])


def test_a_computed_target_becomes_constant(tmp_path):
    network = Network(4)
    x = computed_flatten(network, network.conv("images", 2))
    dense(network, x, 2 * 64)
    opened = check(network, tmp_path, ["Conv", "Reshape", "Gemm"])
    assert opened.graph.node[1].input[1] in {tensor.name for tensor in opened.graph.initializer}


def test_constants_are_computed_once(tmp_path):
    network = Network(5)
    network.nodes.append(
        helper.make_node("Constant", [], ["two"], value=onnx.numpy_helper.from_array(np.float32(2)))
    )
    scaled = network.node("Mul", [network.constant(network.normal(4, 3, 3, 3)), "two"])
    network.head(network.node("Conv", ["images", scaled], channels=4, pads=[1] * 4))
    check(network, tmp_path, ["Conv", "GlobalAveragePool", "Flatten", "Gemm"])


def test_random_numbers_are_not_computed_once(tmp_path):
    network = Network(5)
    network.nodes.append(helper.make_node("RandomNormal", [], ["noise"], shape=[1, 4, 1, 1], scale=1e-9))
    network.head(network.node("Add", [network.conv("images", 4), "noise"], channels=4))
    check(network, tmp_path, ["RandomNormal", "Conv", "Add", "GlobalAveragePool", "Flatten", "Gemm"])
