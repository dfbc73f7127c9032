import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.raise_activation import run


@pytest.mark.parametrize("integers", [True, False])
def test_a_clamp_goes_up_to_the_convolution(integers):
    net = Network(2, 6, 6)
    steps = {"scale": 0.05} if integers else {}
    x = net.conv("images", 3)
    x = net.quantize(x, 0.05) if integers else x
    x = net.sum(x, x) if not integers else net.add(g.Add, (x, x), net.shape(x), 0.05)
    x = net.add(g.MaxPool, x, (3, 3, 3), **steps, kernel=(2, 2), stride=(2, 2))
    x = net.add(g.Reshape, x, (27,), **steps)
    graph = net.graph(net.relu(x, 0.1, 0.33, **steps))
    simple = run(graph)
    check_order(simple)
    assert kinds(simple)[-4:] == ["Add", "Activation", "MaxPool", "Reshape"]
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    assert run(simple) is simple


def pooled(net, source):
    return net.pool(g.MaxPool, source)


@pytest.mark.parametrize(
    "made",
    [
        lambda net: net.relu(pooled(net, "images")),  # nothing there to take it
        lambda net: net.relu(net.conv("images", 3)),
        lambda net: net.relu(pooled(net, net.quantize(net.conv("images", 3), 0.1))),
        lambda net: net.relu(pooled(net, net.conv("images", 3)), scale=0.1),
    ],
)
def test_or_stays(made):
    net = Network(2, 6, 6)
    graph = net.graph(made(net))
    assert run(graph) is graph


def test_what_others_read_is_not_clamped():
    net = Network(2, 6, 6)
    x = net.conv("images", 3)
    pool = pooled(net, x)
    graph = net.graph(net.sum(net.relu(pool), pool))
    assert run(graph) is graph
    net = Network(2, 6, 6)
    x = net.conv("images", 3)
    graph = net.graph(net.sum(net.relu(net.pool(g.MaxPool, x, (1, 1), (1, 1))), x))
    assert run(graph) is graph
