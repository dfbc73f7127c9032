from dataclasses import replace

import numpy as np
import pytest
from forge_graphs import Network, check_order, kinds, networks
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.passes.fuse_stem import run
from tensordyno.forge.simplify import simplify
from tensordyno.vocabulary import Precision

POOL = {"kernel": (3, 3), "stride": (2, 2), "pads": (1, 1, 1, 1)}


def stem(size=(16, 20), *, seed=0, unsigned=False, pooled=0.05, negative=False, real=False, **changes):
    """A stem behind a quantised image, and the name of its result."""
    net = Network(3, *size, seed=seed)
    x = "images" if real else net.quantize("images", 0.03)
    kernel = changes.pop("kernel", (7, 7))
    pool = POOL | changes.pop("pool", {})
    settings = {"int8": not real, "stride": (2, 2)} | changes
    x = net.conv(x, settings.pop("channels", 64), kernel, **settings)
    scale = None if real else 0.05
    net.tensors[x] = replace(net.tensors[x], scale=scale, unsigned=unsigned)
    net.nodes[-1] = replace(net.nodes[-1], clamp=g.Clamp())
    if negative:
        net.nodes[-1] = replace(net.nodes[-1], weight_scale=-net.nodes[-1].weight_scale)
    found = net.pool(g.MaxPool, x, **pool)
    net.tensors[found] = replace(net.tensors[found], scale=None if real else pooled, unsigned=unsigned)
    return net, found


@given(
    height=st.sampled_from([8, 12, 20]),
    width=st.sampled_from([4, 16, 24]),
    seed=st.integers(0, 99),
    unsigned=st.booleans(),
)
def test_one_node_computes_what_two_did(height, width, seed, unsigned):
    net, found = stem((height, width), seed=seed, unsigned=unsigned)
    graph = net.graph(found)
    fused = run(graph)
    check_order(fused)
    assert kinds(fused) == ["Quantize", "ConvolutionMaxPool"]
    assert set(fused.tensors) == {"images", "t0", found}
    images = net.images()
    np.testing.assert_array_equal(evaluate(fused, images), evaluate(graph, images))
    assert run(fused) is fused


@given(
    height=st.sampled_from([8, 12, 20]),
    width=st.sampled_from([4, 16, 24]),
    seed=st.integers(0, 99),
    precision=st.sampled_from([Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32]),
    is_last=st.booleans(),
)
def test_of_real_numbers_too(height, width, seed, precision, is_last):
    net, found = stem((height, width), seed=seed, real=True)
    graph = net.graph(found if is_last else net.mean(found))
    fused = run(graph)
    check_order(fused)
    assert kinds(fused) == ["ConvolutionMaxPool", "GlobalAveragePool"][: 2 - is_last]
    images = net.images()
    np.testing.assert_array_equal(evaluate(fused, images, precision), evaluate(graph, images, precision))
    assert run(fused) is fused


def test_weights_without_a_scale_over_integers_stay():
    net, found = stem()
    net.nodes[-2] = replace(net.nodes[-2], weight_scale=None)
    graph = net.graph(found)
    assert run(graph) is graph


@pytest.mark.parametrize("rounds", ["image", "result"])
def test_what_makes_integers_of_real_numbers_stays(rounds):
    """Or real numbers of integers: no kernel has both."""
    net, found = stem(real=rounds == "result")
    scale = 0.05 if rounds == "result" else None
    for name in (found, net.nodes[-1].inputs[0]):
        net.tensors[name] = replace(net.tensors[name], scale=scale)
    graph = net.graph(found)
    assert run(graph) is graph


OTHERS = {
    "another scale": {"pooled": 0.06},
    "negative weight scales": {"negative": True},
    "another kernel": {"kernel": (5, 5)},
    "another stride": {"stride": (1, 2)},
    "other pads": {"pads": (2, 3, 3, 2)},
    "other channels": {"channels": 32},
    "another pool": {"pool": {"kernel": (2, 2), "pads": (0, 0, 0, 0)}},
    "a pool that hangs over": {"pool": {"ceil": True}},
    "lines that are no blocks": {"size": (18, 20)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_stay(name):
    net, found = stem(**OTHERS[name])
    graph = net.graph(found)
    assert run(graph) is graph


def test_not_where_another_reads_what_lies_between():
    net, found = stem()
    between = net.nodes[-1].inputs[0]
    again = net.pool(g.MaxPool, between, **POOL)
    net.tensors[again] = replace(net.tensors[again], scale=0.05)
    graph = net.graph(net.sum(found, again))
    assert run(graph) is graph


def test_not_where_it_is_the_result():
    net, found = stem()
    graph = replace(net.graph(found), output=net.nodes[-1].inputs[0])
    assert run(graph) is graph


@pytest.mark.parametrize("change", [{"kernel": (5, 5)}, {"channels": 32}, {"size": (18, 20)}])
def test_other_layers_of_real_numbers_stay(change):
    net, found = stem(real=True, **change)
    graph = net.graph(found)
    assert run(graph) is graph


@given(drawn=networks(quantized=True))
def test_any_network_keeps_every_bit(drawn):
    graph, images = drawn
    graph = simplify(graph, exact=True)
    np.testing.assert_array_equal(evaluate(run(graph), images), evaluate(graph, images))
