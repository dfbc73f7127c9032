import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.cancel_quantization import run
from tensordyno.forge.passes.clamps import EVERYTHING
from tensordyno.forge.passes.drop_dead import run as drop_dead


def cancelled(net, output):
    graph = net.graph(output)
    simple = drop_dead(run(graph))
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    return simple


@pytest.fixture
def net():
    return Network(2, 4, 4)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_rounding_again_to_the_same_steps(net, times):
    x = "images"
    for _ in range(times):
        x = net.rounded(x, 0.1)
    assert kinds(cancelled(net, net.relu(x))) == ["Quantize", "Dequantize", "Activation"]


@pytest.mark.parametrize("second", [(0.2, False), (0.1, True)])
def test_rounding_to_other_steps_is_an_open_clamp_of_integers(net, second):
    x = net.rounded(net.rounded("images", 0.1), *second)
    simple = cancelled(net, net.relu(x))
    assert kinds(simple) == ["Quantize", "Activation", "Dequantize", "Activation"]
    again = simple.nodes[1]
    assert again.clamp == EVERYTHING and again.name == "Quantize_2"
    assert (simple.tensor(again.output).scale, simple.tensor(again.output).unsigned) == second


def test_equal_roundings_of_one_tensor_are_one(net):
    x = net.conv("images", 3)
    a, b, c = net.rounded(x, 0.1), net.rounded(x, 0.1), net.rounded(x, 0.2)
    simple = cancelled(net, net.sum(net.sum(a, b), c))
    assert kinds(simple).count("Quantize") == 2 and kinds(simple).count("Dequantize") == 2


def test_of_equal_changes_of_steps_only_one_stays(net):
    x = net.rounded("images", 0.1)
    simple = cancelled(net, net.sum(net.rounded(x, 0.2), net.rounded(x, 0.2)))
    assert kinds(simple) == ["Quantize", "Activation", "Dequantize", "Add"]


def test_logits_keep_their_name(net):
    x = net.rounded("images", 0.1)
    net.relu(x)
    graph = net.graph(net.quantize(x, 0.1))
    assert run(graph) is graph
    assert isinstance(graph.producer(graph.output), g.Quantize)
