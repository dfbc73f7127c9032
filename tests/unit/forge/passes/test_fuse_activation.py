from math import inf

import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds
from hypothesis import example, given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.clamps import EVERYTHING
from tensordyno.forge.passes.fuse_activation import run

OPEN = (EVERYTHING.low, EVERYTHING.high)


def fused(net, output):
    graph = net.graph(output)
    simple = run(graph)
    check_order(simple)
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    return simple


@pytest.fixture
def net():
    return Network(2, 6, 6)


def test_clamps_in_a_row_behind_a_convolution_or_sum(net):
    x = net.relu(net.relu(net.conv("images", 2)), -1.0, 0.5)
    simple = fused(net, net.relu(net.sum(x, "images"), 0.0, 6.0))
    assert kinds(simple) == ["Convolution", "Add"]
    assert [node.clamp for node in simple.nodes] == [g.Clamp(0, 0.5), g.Clamp(0, 6)]


@given(
    seed=st.integers(0, 99),
    scale=st.floats(1 / 128, 1 / 8, width=32),
    unsigned=st.booleans(),
    bounds=st.sampled_from([(0.0, inf), (0.0, 1.0), (-0.31, 0.77), (-inf, 0.3)]),
)
@example(
    seed=0, scale=float(np.float32(0.08)), unsigned=False, bounds=(0.0, 1.0)
)  # 12.5 steps in float32 only
def test_between_equal_steps(seed, scale, unsigned, bounds):
    net = Network(2, 6, 6, seed=seed)
    steps = {"scale": scale, "unsigned": unsigned}
    net.conv("images", 3, int8=True)
    net.tensors["t0"] = g.Tensor("t0", (3, 6, 6), **steps)
    simple = fused(net, net.relu("t0", *bounds, **steps))
    assert kinds(simple) == ["Convolution"]


@pytest.mark.parametrize("scale", [None, 0.2])
def test_not_between_other_steps(net, scale):
    x = net.conv("images", 3)
    net.tensors[x] = g.Tensor(x, (3, 6, 6), 0.1)
    graph = net.graph(net.relu(x, scale=scale))
    assert run(graph) is graph


def test_not_where_another_reads_what_is_not_clamped(net):
    x = net.conv("images", 2)
    graph = net.graph(net.sum(net.relu(x), x))
    assert run(graph) is graph


@pytest.mark.parametrize("kind", [g.MaxPool, g.Concat])
def test_other_steps_are_written_by_what_does_not_round(net, kind):
    x = net.quantize("images", 0.1)
    attributes = {"kernel": (1, 1), "stride": (1, 1)} if kind is g.MaxPool else {}
    x = net.add(kind, x, net.shape(x), 0.1, **attributes)
    simple = fused(net, net.relu(x, *OPEN, scale=0.3))
    assert kinds(simple) == ["Quantize", kind.__name__] and simple.tensor(simple.output).scale == 0.3


def test_but_not_by_what_has_rounded(net):
    x = net.add(g.Concat, net.quantize("images", 0.1), net.shape("images"), 0.2)
    graph = net.graph(net.relu(x, *OPEN, scale=0.3))
    assert run(graph) is graph
    net = Network(2, 6, 6)
    graph = net.graph(net.relu(net.pool(g.MaxPool, "images")))
    assert run(graph) is graph
