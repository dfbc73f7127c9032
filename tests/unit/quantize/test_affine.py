import numpy as np
import onnx
import pytest
from hypothesis import given
from random_networks import Network, answers, networks

from tensordyno.quantize.graph import open_graph


def opened(network, path):
    onnx.save(network.model(), path / "net.onnx")
    return open_graph(path / "net.onnx")


def kinds(model):
    return [node.op_type for node in model.graph.node]


@given(network=networks())
def test_a_graph_answers_as_before(network, tmp_path_factory):
    model = opened(network, tmp_path_factory.mktemp("net"))
    assert "BatchNormalization" not in kinds(model)
    images = network.images()
    np.testing.assert_allclose(answers(model, images), answers(network.model(), images), rtol=1e-4, atol=1e-4)


def per_channel(network, n):
    return network.constant(network.random.uniform(0.5, 2, (1, n, 1, 1)).astype(np.float32), "k")


CHAINS = {
    "scale": lambda net, x: net.node("Mul", [x, per_channel(net, 8)]),
    "scale first": lambda net, x: net.node("Mul", [per_channel(net, 8), x]),
    "shift": lambda net, x: net.node("Add", [x, per_channel(net, 8)]),
    "less": lambda net, x: net.node("Sub", [x, per_channel(net, 8)]),
    "from": lambda net, x: net.node("Sub", [per_channel(net, 8), x]),
    "over": lambda net, x: net.node("Div", [x, per_channel(net, 8)]),
    "one number": lambda net, x: net.node("Mul", [x, net.constant(np.float32(0.3))]),
    "norm, scale and shift": lambda net, x: CHAINS["shift"](net, CHAINS["scale"](net, net.norm(x))),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("bias", [True, False])
def test_scales_and_shifts_go_into_the_layer(chain, bias, tmp_path):
    network = Network(4)
    network.head(network.node("Relu", [CHAINS[chain](network, network.conv("images", 8, bias=bias))]))
    model = opened(network, tmp_path)
    assert kinds(model) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]
    images = network.images()
    np.testing.assert_allclose(answers(model, images), answers(network.model(), images), rtol=1e-4, atol=1e-5)


def test_folded_numbers_are_those_of_the_formula(tmp_path):
    network = Network(1)
    network.head(network.norm(network.conv("images", 8)))
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in network.weights}
    conv, norm = network.nodes[:2]
    w, b = (values[name].astype(np.float64) for name in conv.input[1:])
    scale, shift, mean, variance = (values[name].astype(np.float64) for name in norm.input[1:])
    slope = scale / np.sqrt(variance + 1e-3)
    model = opened(network, tmp_path)
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    folded = model.graph.node[0]
    np.testing.assert_array_equal(found[folded.input[1]], (w * slope[:, None, None, None]).astype(np.float32))
    np.testing.assert_allclose(found[folded.input[2]], b * slope + shift - mean * slope, rtol=1e-6)


def keeps(network, x, path):
    network.head(network.node("Relu", [x]))
    return kinds(opened(network, path))


def test_what_another_node_reads_between_is_not_folded(tmp_path):
    network = Network(2)
    x = network.conv("images", 8)
    both = network.node("Add", [network.norm(x), network.node("Relu", [x])])
    assert "BatchNormalization" in keeps(network, both, tmp_path)


@pytest.mark.parametrize("shape", [(1, 1, 1, 8), (8,), (4, 1, 1, 1)])
def test_a_constant_along_another_axis_is_not_folded(shape, tmp_path):
    network = Network(3)
    x = network.node("Mul", [network.conv("images", 8), network.constant(network.normal(*shape))])
    assert "Mul" in keeps(network, x, tmp_path)


def test_a_division_by_zero_stays_what_it_is(tmp_path):
    network = Network(3)
    x = network.node("Div", [network.conv("images", 8), network.constant(np.float32(0))])
    assert "Div" in keeps(network, x, tmp_path)


def test_a_norm_of_training_is_left_alone(tmp_path):
    network = Network(5)
    network.norm(network.conv("images", 8))
    norm = network.nodes[-1]
    norm.attribute.append(onnx.helper.make_attribute("training_mode", 1))
    norm.output.extend(["mean_out", "var_out"])
    assert "BatchNormalization" in keeps(network, norm.output[0], tmp_path)


def test_weights_that_two_layers_share_are_folded_for_one(tmp_path):
    network = Network(6)
    x = network.conv("images", 3, bias=False)
    second = network.node("Conv", [x, network.nodes[0].input[1]], pads=[1] * 4)
    network.head(network.norm(second))
    images = network.images()
    model = opened(network, tmp_path)
    assert "BatchNormalization" not in kinds(model)
    np.testing.assert_allclose(answers(model, images), answers(network.model(), images), rtol=1e-4, atol=1e-5)
