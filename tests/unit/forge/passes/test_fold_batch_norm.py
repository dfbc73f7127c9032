import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.fold_batch_norm import run


def close(graph, simple, images):
    expected = evaluate(graph, images)
    np.testing.assert_allclose(evaluate(simple, images), expected, atol=1e-4 * np.abs(expected).max())


@given(seed=st.integers(0, 99), groups=st.sampled_from([1, 2, 4]), bias=st.booleans(), rows=st.integers(1, 3))
def test_rows_of_them_behind_a_convolution(seed, groups, bias, rows):
    net = Network(4, 5, 6, seed=seed)
    x = net.conv("images", 8, groups=groups, bias=bias)
    for _ in range(rows):
        x = net.affine(x)
    graph = net.graph(x)
    simple = run(graph)
    check_order(simple)
    assert kinds(simple) == ["Convolution"] and simple.nodes[0].weight.dtype == np.float32
    close(graph, simple, net.images())


@given(
    seed=st.integers(0, 99),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    offset=st.booleans(),
    padded=st.booleans(),
)
def test_in_front_of_convolutions(seed, groups, bias, offset, padded):
    net = Network(4, 5, 6, seed=seed)
    x = net.affine("images", offset=offset)
    pads = (1, 0, 0, 1) if padded else (0, 0, 0, 0)
    graph = net.graph(net.conv(x, 8, groups=groups, bias=bias, pads=pads))
    simple = run(graph)
    folds = not (offset and padded)  # around the image there would be offsets, not zeros
    assert kinds(simple) == ["Affine"] * (not folds) + ["Convolution"]
    close(graph, simple, net.images())


def test_int8_weights_keep_their_integers():
    net = Network(3, 5, 5)
    x = net.rounded("images", 0.05)
    graph = net.graph(net.affine(net.conv(x, 4, int8=True)))
    simple = run(graph)
    assert kinds(simple) == ["Quantize", "Dequantize", "Convolution"]
    np.testing.assert_array_equal(simple.nodes[2].weight, graph.nodes[2].weight)
    close(graph, simple, net.images())


def test_what_others_read_as_well_is_not_changed():
    net = Network(3, 5, 5)
    x = net.affine("images")
    graph = net.graph(net.sum(net.conv(x, 3, (1, 1)), x))
    simple = run(graph)
    assert kinds(simple) == ["Affine", "Convolution", "Add"] and simple.nodes[1].inputs == ("images",)
    close(graph, simple, net.images())
    net = Network(3, 5, 5)
    x = net.conv("images", 3)
    graph = net.graph(net.sum(net.affine(x), x))
    assert run(graph) is graph


@pytest.mark.parametrize("between", ["relu", "rounded"])
def test_what_is_no_sum_is_left_alone(between):
    net = Network(3, 5, 5)
    graph = net.graph(net.affine(getattr(net, between)(net.conv("images", 3))))
    assert run(graph) is graph
