import numpy as np
from forge_graphs import Network

from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.float_weights import run


def test_int8_weights_over_real_numbers_are_multiplied_by_their_scales():
    net = Network(3, 5, 5)
    graph = net.graph(net.conv("images", 4, int8=True))
    simple = run(graph)
    (node,) = simple.nodes
    assert node.weight_scale is None and node.weight.dtype == np.float32
    np.testing.assert_array_equal(node.weight[2], graph.nodes[0].weight[2] * graph.nodes[0].weight_scale[2])
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))


def test_sums_of_integers_and_float_weights_stay():
    net = Network(3, 5, 5)
    graph = net.graph(net.conv(net.quantize("images", 0.1), 4, int8=True))
    assert run(graph) is graph
    net = Network(3, 5, 5)
    graph = net.graph(net.conv("images", 4))
    assert run(graph) is graph
