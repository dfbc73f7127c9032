from dataclasses import replace

import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.fuse_residual import run


def fused(graph, images, **asked):
    simple = run(graph, **asked)
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, images), evaluate(graph, images))
    return simple


@pytest.fixture
def net():
    return Network(2, 6, 6)


@pytest.mark.parametrize("branch_first", [True, False])
def test_the_other_branch_becomes_the_residual(net, branch_first):
    x = net.conv("images", 2)
    branch = net.conv(net.relu(x), 2)
    total = net.sum(branch, x) if branch_first else net.sum(x, branch)
    graph = net.graph(total)
    graph = graph.with_nodes((*graph.nodes[:-1], replace(graph.nodes[-1], clamp=g.Clamp(0, 2))))
    simple = fused(graph, net.images())
    assert kinds(simple) == ["Convolution", "Activation", "Convolution"]
    last = simple.nodes[-1]
    assert last.inputs == ("t1", x) and last.clamp == g.Clamp(0, 2) and last.name == "Convolution_2"


@pytest.mark.parametrize("later_first", [True, False])
def test_of_two_convolutions_the_later_one_adds(net, later_first):
    early, late = net.conv("images", 3), net.conv("images", 3, (1, 1))
    simple = fused(net.graph(net.sum(*((late, early) if later_first else (early, late)))), net.images())
    assert [node.name for node in simple.nodes] == ["Convolution_0", "Convolution_1"]
    assert simple.nodes[1].inputs == ("images", early)


@pytest.mark.parametrize("shortcut_first", [True, False])
def test_of_two_branches_the_longer_one_adds_wherever_its_convolution_stands(net, shortcut_first):
    images = net.relu("images")
    if shortcut_first:
        shortcut = net.conv(images, 3, (1, 1))
        branch = net.conv(net.relu(images), 3)
    else:
        branch = net.conv(net.relu(images), 3)
        shortcut = net.conv(images, 3, (1, 1))
    simple = fused(net.graph(net.sum(branch, shortcut)), net.images())
    assert simple.nodes[-1].inputs[1] == shortcut and simple.nodes[-1].weight.shape[2:] != (1, 1)


def test_a_residual_that_is_made_later_than_the_convolution(net):
    branch = net.conv("images", 2)
    graph = net.graph(net.sum(branch, net.relu("images")))
    simple = fused(graph, net.images())
    assert kinds(simple) == ["Activation", "Convolution"]


@pytest.mark.parametrize(
    "made",
    [
        lambda net, x: net.sum(net.relu(x), net.relu(x)),
        lambda net, x: net.sum(x, x),
        lambda net, x: net.sum(net.sum(x, "images"), x),  # two read it
    ],
)
def test_what_stays_a_sum(net, made):
    graph = net.graph(made(net, net.conv("images", 2)))
    assert run(graph) is graph


def test_a_clamped_convolution_or_one_with_a_residual_adds_nothing_more(net):
    x = net.add(g.Convolution, "images", (2, 6, 6), weight=net.numbers(2, 2, 1, 1), clamp=g.Clamp())
    graph = net.graph(net.sum(x, "images"))
    assert run(graph) is graph
    net = Network(2, 6, 6)
    x = net.add(g.Convolution, ("images", "images"), (2, 6, 6), weight=net.numbers(2, 2, 1, 1))
    graph = net.graph(net.sum(x, net.relu("images")))
    assert run(graph) is graph


@given(
    seed=st.integers(0, 999),
    inner=st.floats(1 / 32, 1 / 4, width=32),
    outer=st.floats(1 / 32, 1 / 4, width=32),
)
def test_a_rounding_in_front_of_the_sum_is_left_out_unless_exact(seed, inner, outer):
    net = Network(2, 6, 6, seed=seed)
    x = net.quantize("images", 0.05)
    branch = net.conv(x, 2, int8=True)
    net.tensors[branch] = g.Tensor(branch, (2, 6, 6), inner)
    total = net.sum(branch, x)
    net.tensors[total] = g.Tensor(total, (2, 6, 6), outer)
    graph, images = net.graph(total), net.images()
    assert run(graph, exact=True) is graph
    simple = run(graph)
    check_order(simple)
    assert kinds(simple) == ["Quantize", "Convolution"]
    apart = np.abs(evaluate(simple, images) - evaluate(graph, images))
    unsaturated = np.abs(evaluate(replace(graph, output=branch), images)) < 127 * inner
    assert apart[unsaturated].max() <= (inner / 2 + outer) * (1 + 1e-5)


def test_exact_still_takes_in_what_is_not_rounded(net):
    x = net.quantize("images", 0.05)
    simple = fused(net.graph(net.sum(net.conv(x, 2, int8=True), x)), net.images(), exact=True)
    assert kinds(simple) == ["Quantize", "Convolution"]
