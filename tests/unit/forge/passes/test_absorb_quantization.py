import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.absorb_quantization import run


@pytest.fixture
def net():
    return Network(4, 6, 6, exact=True)


def absorbed(net, output):
    graph = net.graph(output)
    simple = run(graph)
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    return simple


def scales(graph):
    return [graph.tensor(name).scale for name in (graph.input, *(node.output for node in graph.nodes))]


def test_convolutions_of_int8_weights_read_and_write_integers(net):
    x = net.rounded("images", 1 / 16)
    x = net.rounded(net.conv(x, 4, int8=True), 1 / 8, unsigned=True)
    simple = absorbed(net, net.conv(x, 3, int8=True))
    assert kinds(simple) == ["Convolution", "Convolution"] and scales(simple) == [1 / 16, 1 / 8, None]
    assert [node.name for node in simple.nodes] == ["Convolution_2", "Convolution_5"]
    assert simple.tensor(simple.nodes[0].output).unsigned


@pytest.mark.parametrize(
    "operation",
    [
        lambda net, x: net.pool(g.AveragePool, x),
        Network.mean,
        lambda net, x: net.sum(x, x),
        lambda net, x: net.relu(x, -0.3, 0.7),
        Network.affine,
        lambda net, x: net.add(g.LocalResponseNorm, x, net.shape(x), size=3, alpha=0.1, beta=0.75, bias=1.0),
    ],
)
def test_so_does_every_other_operation(net, operation):
    x = operation(net, net.rounded("images", 1 / 16))
    simple = absorbed(net, net.quantize(x, 1 / 4))
    assert len(simple.nodes) == 1 and scales(simple) == [1 / 16, 1 / 4]


def test_a_tensor_that_is_read_both_ways_is_kept_both_ways(net):
    x = net.conv(net.rounded("images", 1 / 16), 4, int8=True)
    simple = absorbed(net, net.sum(net.conv(net.rounded(x, 1 / 8), 4, int8=True), x))
    assert kinds(simple) == ["Convolution", "Quantize", "Convolution", "Add"]
    assert scales(simple) == [1 / 16, None, 1 / 8, None, None]


def test_a_tensor_that_is_rounded_in_two_ways_stays_real(net):
    x = net.conv(net.rounded("images", 1 / 16), 4, int8=True)
    simple = absorbed(net, net.sum(net.rounded(x, 1 / 8), net.rounded(x, 1 / 4)))
    assert kinds(simple) == ["Convolution", "Quantize", "Quantize", "Add"]


def test_an_image_that_is_read_as_it_is_stays_real(net):
    simple = absorbed(net, net.sum(net.rounded("images", 1 / 16), "images"))
    assert kinds(simple) == ["Quantize", "Add"] and scales(simple)[0] is None


def test_float_weights_work_on_real_numbers(net):
    graph = net.graph(net.conv(net.rounded(net.relu("images"), 1 / 16), 3))
    simple = run(graph)
    assert kinds(simple) == ["Activation", "Dequantize", "Convolution"]


def test_logits_that_are_real_stay_real(net):
    simple = absorbed(net, net.rounded(net.conv("images", 3), 1 / 4))
    assert kinds(simple) == ["Convolution", "Dequantize"] and scales(simple) == [None, 1 / 4, None]


def test_two_roundings_in_a_row_are_left_to_another_pass(net):
    simple = absorbed(net, net.relu(net.rounded(net.rounded("images", 1 / 16), 1 / 8)))
    assert kinds(simple) == ["Dequantize", "Quantize", "Activation"]
