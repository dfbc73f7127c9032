import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.drop_dead import run as drop_dead
from tensordyno.forge.passes.drop_identities import run as drop_identities
from tensordyno.forge.passes.reshape_to_image import run


def simplified(graph):
    simple = drop_identities(drop_dead(run(graph)))
    check_order(simple)
    return simple


def same(graph, simple, images):
    expected = evaluate(graph, images)
    np.testing.assert_allclose(evaluate(simple, images), expected, atol=1e-5 * np.abs(expected).max())


@given(
    shape=st.tuples(st.sampled_from([2, 4, 6]), st.integers(1, 4), st.integers(1, 3)),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_a_product_of_a_flattened_image_looks_at_the_image(shape, groups, seed):
    net = Network(*shape, seed=seed)
    hidden = net.relu(net.conv(net.reshape("images"), 4, (1, 1), groups=groups))
    graph = net.graph(net.conv(hidden, 3, (1, 1)))
    simple = simplified(graph)
    assert kinds(simple) == ["Convolution", "Activation", "Convolution"]
    assert simple.nodes[0].weight.shape == (4, shape[0] // groups, *shape[1:])
    assert [simple.tensor(node.output).shape for node in simple.nodes] == [(4, 1, 1), (4, 1, 1), (3,)]
    same(graph, simple, net.images())


def test_reshapes_between_features_and_images_of_one_pixel_go():
    net = Network(2, 3, 3)
    x = net.reshape(net.reshape("images"), 18, 1, 1)
    x = net.reshape(net.conv(x, 4, (1, 1)))
    graph = net.graph(net.reshape(net.conv(net.reshape(x, 4, 1, 1), 5, (1, 1))))
    simple = simplified(simplified(graph))
    assert kinds(simple) == ["Convolution", "Convolution"]
    assert simple.tensor(simple.output).shape == (5,)
    same(graph, simple, net.images())


def test_scores_after_the_logits_keep_the_shape_of_theirs():
    net = Network(2, 3, 3)
    logits = net.conv(net.reshape(net.mean("images")), 4, (1, 1))
    graph = net.graph(net.add(g.Softmax, net.affine(logits), (4,)))
    simple = simplified(graph)
    assert kinds(simple) == ["GlobalAveragePool", "Convolution", "Affine", "Softmax"]
    same(graph, simple, net.images())


def test_means_are_flat_themselves():
    net = Network(2, 3, 3)
    graph = net.graph(net.reshape(net.mean("images")))
    simple = simplified(graph)
    assert kinds(simple) == ["GlobalAveragePool"]
    same(graph, simple, net.images())


def test_int8_as_well_but_not_with_two_scales():
    net = Network(2, 3, 3, exact=True)
    flat = net.add(g.Reshape, net.quantize("images", 0.25), (18,), 0.25)
    graph = net.graph(net.conv(flat, 5, (1, 1), int8=True))
    simple = simplified(graph)
    assert kinds(simple) == ["Quantize", "Convolution"]
    np.testing.assert_array_equal(evaluate(simple, net.images()), evaluate(graph, net.images()))
    net = Network(2, 3, 3)
    flat = net.add(g.Reshape, net.quantize("images", 0.25), (18,), 0.5)
    assert "Reshape" in kinds(simplified(net.graph(net.conv(flat, 5, (1, 1), int8=True))))


@pytest.mark.parametrize("groups", [3, 9])
def test_groups_that_cut_channels_stay(groups):
    net = Network(2, 3, 3)
    graph = net.graph(net.conv(net.reshape("images"), 9, (1, 1), groups=groups))
    assert kinds(simplified(graph)) == ["Reshape", "Convolution"]
    same(graph, simplified(graph), net.images())


def test_another_order_of_the_same_image_stays():
    net = Network(2, 3, 4)
    graph = net.graph(net.conv(net.reshape("images", 4, 3, 2), 3))
    assert run(graph) is graph
