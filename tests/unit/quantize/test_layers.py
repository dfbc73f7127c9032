import numpy as np
import pytest
from random_networks import Network

from tensordyno.quantize.layers import channel_axis, has_weights, obstacle, outputs_of
from tensordyno.quantize.wiring import Wiring


def check(network):
    """The last node, whether it is a layer, and what keeps it from INT8."""
    wiring = Wiring(network_graph(network))
    node = network.nodes[-1]
    return node, has_weights(node, wiring), obstacle(node, wiring)


def network_graph(network):
    from onnx import helper

    return helper.make_graph(network.nodes, "g", [], [], network.weights)


def gemm(bias, **attributes):
    network = Network(1)
    inputs = ["x", network.constant(network.normal(5, 4))]
    inputs += [network.constant(bias)] if isinstance(bias, np.ndarray) else bias
    network.node("Gemm", inputs, transB=1, **attributes)
    return network


VECTOR = np.zeros(5, np.float32)


@pytest.mark.parametrize(
    "network, reason",
    [
        (gemm(VECTOR), ""),
        (gemm([]), ""),
        (gemm([""]), ""),
        (gemm(VECTOR, alpha=0.5), "alpha"),
        (gemm(VECTOR, transA=1), "transA"),
        (gemm(np.zeros((2, 5), np.float32)), "one number"),
        (gemm(VECTOR.astype(np.float64)), "computed"),
        (gemm(["y"]), "computed"),
    ],
)
def test_obstacles_of_a_gemm(network, reason):
    _, layer, found = check(network)
    assert layer
    assert reason in found if reason else found == ""


def product(*inputs):
    network = Network(2)
    network.node("MatMul", [network.constant(i) if isinstance(i, np.ndarray) else i for i in inputs])
    return network


def test_obstacles_of_a_product():
    matrix = np.zeros((4, 5), np.float32)
    assert check(product("x", matrix))[1:] == (True, "")
    assert check(product("x", "y"))[1] is False
    assert "left" in check(product(matrix, "x"))[2]
    assert "no matrix" in check(product("x", matrix[None]))[2]
    assert "float32" in check(product("x", matrix.astype(np.float16)))[2]


def test_output_channels():
    for network, axis in ((gemm(VECTOR), 0), (product("x", np.zeros((4, 5), np.float32)), 1)):
        node = network.nodes[-1]
        assert channel_axis(node) == axis
        assert outputs_of(node, Wiring(network_graph(network))) == 5
