from dataclasses import replace

import numpy as np
import pytest
from forge_graphs import check_order, kinds, networks
from forge_programs import run_program
from fused_graphs import PATTERNS, convolution, network
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.lower import lower
from tensordyno.forge.passes.fuse_convolutions import run
from tensordyno.forge.simplify import simplify
from tensordyno.vocabulary import Precision


def fused(graph):
    return [node for node in graph.nodes if isinstance(node, g.Fused)]


@given(
    patterns=st.lists(st.sampled_from(list(PATTERNS)), min_size=1, max_size=3),
    seed=st.integers(0, 999),
    stride=st.sampled_from([(1, 1), (2, 2)]),
)
def test_one_node_computes_what_its_parts_did(patterns, seed, stride):
    net, logits = network(*patterns, seed=seed, stride=stride)
    graph = net.graph(logits)
    found, images = run(graph), net.images()
    check_order(found)
    assert [len(node.parts) for node in fused(found)] == [PATTERNS[pattern] for pattern in patterns]
    assert run(found) is found
    np.testing.assert_array_equal(evaluate(found, images), evaluate(graph, images))
    alone, as_one = (run_program(lower(each, Precision.INT8), images) for each in (graph, found))
    np.testing.assert_array_equal(as_one, alone)


REAL = [Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32]


@given(
    patterns=st.lists(st.sampled_from(list(PATTERNS)), min_size=1, max_size=3),
    seed=st.integers(0, 999),
    stride=st.sampled_from([(1, 1), (2, 2)]),
    precision=st.sampled_from(REAL),
)
def test_what_lies_between_real_parts_is_rounded_as_before(patterns, seed, stride, precision):
    net, logits = network(*patterns, seed=seed, stride=stride, real=True)
    graph = net.graph(logits)
    found, images = run(graph), net.images()
    check_order(found)
    assert [len(node.parts) for node in fused(found)] == [PATTERNS[pattern] for pattern in patterns]
    expected = evaluate(graph, images, precision)
    np.testing.assert_array_equal(evaluate(found, images, precision), expected)
    alone, as_one = (run_program(lower(each, precision), images) for each in (graph, found))
    np.testing.assert_array_equal(as_one, alone)


def test_parts_and_tensors_have_their_order():
    net, logits = network("both", stride=(2, 2))
    graph = net.graph(logits)
    _, narrow, middle, side, last, *_ = net.nodes
    (node,) = fused(run(graph))
    assert node.parts == (middle, side, last)
    assert node.inputs == (narrow.output, side.inputs[0]) and node.output == last.output
    assert [tensor.name for tensor in node.between] == [middle.output, side.output]
    assert node.name == last.name and not {middle.output, side.output} & set(run(graph).tensors)


def test_what_is_not_wanted_as_one_may_be_fused_otherwise():
    net, logits = network("both")
    graph = net.graph(logits)
    offered = []

    def takes(node):
        offered.append([part.weight.shape[2:] for part in node.parts])
        return False

    assert run(graph, takes) is graph
    assert offered == [[(3, 3), (1, 1), (1, 1)], [(1, 1), (1, 1)], [(3, 3), (1, 1)]]
    (only,) = fused(run(graph, lambda node: node.parts[0].weight.shape[2:] == (1, 1)))
    assert len(only.parts) == 2
    np.testing.assert_array_equal(
        evaluate(run(graph, lambda node: len(node.parts) == 2), net.images()), evaluate(graph, net.images())
    )


OTHERS = {
    "groups": {"groups": 2},
    "holes in the kernel": {"dilation": (2, 2), "pads": (2, 2, 2, 2)},
    "no padding": {"pads": (0, 0, 0, 0)},
    "a larger kernel": {"kernel": (5, 5)},
    "a stride of one axis": {"stride": (1, 2)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_stay(name):
    net, _ = network()
    settings = {"kernel": (3, 3), **OTHERS[name]}
    x = convolution(net, net.nodes[0].output, 16, settings.pop("kernel"), **settings)
    graph = net.graph(convolution(net, x, 16))
    assert run(graph) is graph


@pytest.mark.parametrize("changed", [{"unsigned": True}, {"scale": None}])
def test_what_lies_between_integers_is_int8(changed):
    net, logits = network("pair")
    middle = net.nodes[2].output
    net.tensors[middle] = replace(net.tensors[middle], **changed)
    graph = net.graph(logits)
    assert run(graph) is graph


def test_not_where_another_reads_what_lies_between():
    net, _ = network("pair")
    middle, last = net.nodes[2].output, net.nodes[3].output
    graph = net.graph(net.sum(middle, last))
    assert run(graph) is graph


def test_not_where_it_is_the_result():
    net, logits = network("pair")
    graph = replace(net.graph(logits), output=net.nodes[2].output)
    assert run(graph) is graph


def test_not_where_two_parts_read_the_same_tensor():
    net, _ = network()
    x = net.nodes[0].output
    graph = net.graph(convolution(net, convolution(net, x, 16, (3, 3)), 16, residual=x))
    assert run(graph) is graph


@pytest.mark.parametrize("scale", [None, 0.1])
def test_not_of_real_weights_over_integers(scale):
    net, _ = network()
    x = convolution(net, net.nodes[0].output, 16, (3, 3), scale=scale)
    graph = net.graph(net.conv(x, 16, (1, 1)))
    assert run(graph) is graph


def test_not_of_integers_and_real_numbers():
    net, _ = network()
    real = net.conv("images", 16, (1, 1))
    x = convolution(net, net.nodes[0].output, 16, (3, 3))
    graph = net.graph(convolution(net, x, 16, residual=real))
    assert [len(node.parts) for node in fused(run(graph))] == [2]


def test_integer_weights_of_real_images_are_real():
    net, logits = network("both", real=True)
    for place in (1, 2):
        weight = net.random.integers(-20, 21, net.nodes[place].weight.shape, np.int8)
        net.nodes[place] = replace(net.nodes[place], weight=weight, weight_scale=net.scales(16))
    graph = net.graph(logits)
    assert [len(node.parts) for node in fused(run(graph))] == [3]
    expected = evaluate(graph, net.images(), Precision.FP16)
    np.testing.assert_array_equal(evaluate(run(graph), net.images(), Precision.FP16), expected)


@given(drawn=networks(quantized=True))
def test_any_network_keeps_every_bit(drawn):
    graph, images = drawn
    graph = simplify(graph, exact=True)
    found = run(graph)
    check_order(found)
    np.testing.assert_array_equal(evaluate(found, images), evaluate(graph, images))


def test_blocks_follow_each_other():
    net, logits = network("both", "pair with residual", "pair with residual")
    assert kinds(run(net.graph(logits)))[:6] == ["Quantize", *["Convolution", "Fused"] * 2, "Convolution"]
