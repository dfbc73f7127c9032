import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.drop_dead import run as drop_dead
from tensordyno.forge.passes.move_quantization import run


def moved(net, output):
    graph = net.graph(output)
    simple = drop_dead(run(graph))
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    return simple


@pytest.fixture
def net():
    return Network(2, 6, 6)


PICKING = {
    "MaxPool": lambda net, x: net.pool(g.MaxPool, x, (3, 3), (2, 2), (1, 1, 1, 1)),
    "Pad": lambda net, x: net.pad(x, 1, 0, 0, 2),
    "Reshape": Network.reshape,
    "Concat": lambda net, x: net.concat(x, x),
}


@pytest.mark.parametrize("kind", PICKING)
@pytest.mark.parametrize("unsigned", [True, False])
def test_rounding_goes_up(net, kind, unsigned):
    x = PICKING[kind](net, net.conv("images", 3))
    simple = moved(net, net.rounded(x, 0.03, unsigned))
    assert kinds(simple) == ["Convolution", "Quantize", kind, "Dequantize"]
    assert simple.tensor(simple.nodes[2].output) == net.tensors["t2"]


@pytest.mark.parametrize("kind", PICKING)
@pytest.mark.parametrize("unsigned", [True, False])
def test_integers_go_down(net, kind, unsigned):
    x = PICKING[kind](net, net.rounded("images", 0.03, unsigned))
    simple = moved(net, net.conv(x, 2, (1, 1)))
    assert kinds(simple) == ["Quantize", kind, "Dequantize", "Convolution"]
    made = next(node for node in simple.nodes if type(node).__name__ == kind)
    assert {simple.tensor(name).scale for name in (*made.inputs, made.output)} == {0.03}
    assert simple.tensor(made.output).unsigned is unsigned


def test_through_a_whole_row(net):
    x = net.rounded("images", 0.03)
    for kind in ("Pad", "MaxPool", "Concat", "Reshape"):
        x = PICKING[kind](net, x)
    assert kinds(moved(net, net.relu(x)))[-2:] == ["Activation", "Dequantize"]


@pytest.mark.parametrize(("high", "goes"), [(1.0, True), (1.01, False), (np.inf, True)])
def test_clamps_pass_integers_on_whole_steps(net, high, goes):
    simple = moved(net, net.relu(net.rounded("images", 0.125), 0.0, high))
    expected = ["Activation", "Dequantize"] if goes else ["Dequantize", "Activation"]
    assert kinds(simple)[1:] == expected


def test_what_others_read_stays_real(net):
    x = net.conv("images", 2)
    pooled = net.pool(g.MaxPool, x, (1, 1), (1, 1))
    graph = net.graph(net.sum(net.rounded(pooled), x))
    assert run(graph) is graph


def test_two_scales_do_not_go_down_as_one(net):
    graph = net.graph(net.concat(net.rounded("images", 0.1), net.rounded("images", 0.2)))
    assert run(graph) is graph


def test_a_concatenation_of_integers_and_real_numbers_rounds_only_these(net):
    parts = net.rounded("images", 0.1), net.conv("images", 3)
    simple = moved(net, net.rounded(net.concat(*parts), 0.2))
    assert sorted(kinds(simple)) == [
        "Concat",
        "Convolution",
        "Dequantize",
        "Quantize",
        "Quantize",
    ]
    concat = next(node for node in simple.nodes if isinstance(node, g.Concat))
    assert [simple.tensor(name).scale for name in (*concat.inputs, concat.output)] == [0.1, 0.2, 0.2]


def test_other_operations_do_not_let_it_pass(net):
    x = net.rounded(net.mean(net.rounded("images", 0.1)), 0.1)
    graph = net.graph(x)
    assert run(graph) is graph
