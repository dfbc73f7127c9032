import numpy as np
import pytest
from forge_graphs import Network, kinds
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.drop_dead import run as drop_dead
from tensordyno.forge.passes.pad_into_window import run

edges = st.tuples(*[st.integers(0, 2)] * 4)


@given(
    outer=edges, inner=edges, stride=st.tuples(st.integers(1, 3), st.integers(1, 2)), side=st.integers(5, 8)
)
def test_convolutions_pad_for_themselves(outer, inner, stride, side):
    net = Network(2, side, 6)
    graph = net.graph(net.conv(net.pad("images", *outer), 3, pads=inner, stride=stride))
    simple = drop_dead(run(graph))
    assert kinds(simple) == ["Convolution"]
    assert simple.nodes[0].pads == tuple(a + b for a, b in zip(outer, inner, strict=True))
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))


@given(
    outer=edges,
    inner=st.sampled_from([(0, 0, 0, 0), (1, 0, 1, 1)]),
    counts=st.booleans(),
    ceil=st.booleans(),
    stride=st.integers(1, 3),
    side=st.integers(4, 8),
)
def test_average_pools_count_the_zeros(outer, inner, counts, ceil, stride, side):
    net = Network(2, side, 6)
    attributes = {"count_pads": counts, "ceil": ceil}
    x = net.pool(g.AveragePool, net.pad("images", *outer), (3, 3), (stride, 2), inner, **attributes)
    graph = net.graph(x)
    simple = drop_dead(run(graph))
    if not ceil:
        assert kinds(simple) == (["AveragePool"] if counts or not any(inner) else ["Pad", "AveragePool"])
    images = net.images()
    np.testing.assert_allclose(evaluate(simple, images), evaluate(graph, images), rtol=1e-6)


def test_a_ceiling_that_reaches_over_the_edge_stays():
    net = Network(2, 6, 6)
    padded = net.pad("images", 1, 1, 1, 1)  # 8: windows of 3 at 0, 2, 4 and one at 6
    graph = net.graph(net.pool(g.AveragePool, padded, (3, 3), (2, 2), ceil=True))
    assert run(graph) is graph


@pytest.mark.parametrize("scale", [None, 0.5])
def test_a_pad_that_changes_the_steps_stays(scale):
    net = Network(2, 6, 6)
    x = net.add(g.Pad, net.quantize("images", 0.25), (2, 7, 6), scale, pads=(1, 0, 0, 0))
    graph = net.graph(net.conv(x, 3))
    assert run(graph) is graph


def test_only_the_image_is_padded_not_the_residual():
    net = Network(2, 6, 6)
    x = net.pad("images", 1, 1, 1, 1)
    weight = net.numbers(2, 2, 3, 3)
    out = net.add(g.Convolution, (x, x), (2, 8, 8), weight=weight, pads=(1, 1, 1, 1))
    graph = net.graph(out)
    simple = run(graph)
    assert simple.nodes[1].inputs == ("images", x) and simple.nodes[1].pads == (2, 2, 2, 2)
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
