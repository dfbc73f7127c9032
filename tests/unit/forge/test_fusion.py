"""Which layers become one operation is a matter of the target's kernels."""

import numpy as np
import pytest
from forge_graphs import Network
from fused_graphs import block as block_over
from fused_graphs import network

from tensordyno.forge import engine_build, fusion
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.fusion import fused_for
from tensordyno.forge.graph import ConvolutionMaxPool, Fused, MaxPool
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.lower import lower
from tensordyno.forge.simplify import simplify
from tensordyno.vocabulary import Precision

HERE = Target(interpreted=True)


def kinds(graph, target=HERE, precision=Precision.INT8):
    nodes = fused_for(graph, precision, target).nodes
    return {type(node) for node in nodes} & {ConvolutionMaxPool, Fused}


def stem():
    net = Network(3, 32, 32)
    x = net.relu(net.conv(net.rounded("images"), 64, (7, 7), int8=True, stride=(2, 2)))
    x = net.pool(MaxPool, net.rounded(x), (3, 3), (2, 2), (1, 1, 1, 1))
    return simplify(net.graph(net.reshape(net.mean(x), 64)))


def real_stem():
    net = Network(3, 32, 32)
    x = net.pool(
        MaxPool, net.relu(net.conv("images", 64, (7, 7), stride=(2, 2))), (3, 3), (2, 2), (1, 1, 1, 1)
    )
    return simplify(net.graph(net.reshape(net.mean(x), 64)))


def block():
    net, logits = network("both", "pair")
    return net.graph(logits)


@pytest.mark.parametrize(("made", "kind"), [(stem, ConvolutionMaxPool), (block, Fused)])
def test_only_where_a_kernel_takes_them(monkeypatch, made, kind):
    graph = made()
    assert fused_for(graph, Precision.INT8, HERE) is graph
    monkeypatch.setattr(fusion, "has_kernel", lambda operation, target: target == Target())
    assert kinds(graph, Target()) == {kind} and not kinds(graph, Target(capability=(8, 0)))


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32])
def test_a_stem_of_real_numbers_is_fused_in_short_formats_only(precision):
    graph = real_stem()
    is_short = precision in (Precision.FP16, Precision.BF16)
    assert kinds(graph, Target(), precision) == ({ConvolutionMaxPool} if is_short else set())
    assert not kinds(graph, Target(capability=(8, 0)), precision)
    images = np.random.default_rng(1).standard_normal((2, 3, 32, 32), np.float32)
    expected = evaluate(graph, images, precision)
    np.testing.assert_array_equal(
        evaluate(fused_for(graph, precision, Target()), images, precision), expected
    )


@pytest.mark.parametrize(("precision", "count"), [("fp16", 1), ("bf16", 1), ("tf32", 0), ("fp32", 0)])
def test_real_shortcuts_on_hopper_where_its_kernels_have_the_format(precision, count):
    net = Network(64, 8, 6)
    x = block_over(net, "images", "both", width=64, stride=(2, 2), real=True)
    graph = net.graph(net.reshape(net.mean(block_over(net, x, "pair", width=64, real=True))))
    found = fused_for(graph, Precision(precision), Target())
    parts = [node.parts for node in found.nodes if isinstance(node, Fused)]
    assert len(parts) == count and all(each[0].weight.shape[2:] == (1, 1) for each in parts)
    images = net.images()
    expected = evaluate(graph, images, Precision(precision))
    np.testing.assert_array_equal(evaluate(found, images, Precision(precision)), expected)


def test_kernels_are_asked_for_what_the_program_then_has(monkeypatch):
    asked = []

    def has_kernel(operation, target):
        asked.append(operation)
        return len(operation.node.inputs) == 1

    monkeypatch.setattr(fusion, "has_kernel", has_kernel)
    graph = block()
    program = engine_build.program_of(graph, Precision.INT8, HERE)
    (found,) = (each for each in program.operations if isinstance(each.node, Fused))
    (same,) = (each for each in asked if each.node is found.node)
    assert same == found and found.precision is Precision.INT8
    images = np.random.default_rng(1).standard_normal((2, 16, 6, 5), np.float32)
    expected = evaluate(graph, images)
    np.testing.assert_array_equal(evaluate(fused_for(graph, Precision.INT8, HERE), images), expected)


def test_each_place_is_asked_for(monkeypatch):
    """The first block stays because its width has no kernel, the second one is fused all the same."""
    monkeypatch.setattr(fusion, "has_kernel", lambda operation, target: len(operation.node.parts) == 2)
    graph = block()
    nodes = [node for node in fused_for(graph, Precision.INT8, HERE).nodes if isinstance(node, Fused)]
    assert [len(node.parts) for node in nodes] == [2, 2]
    assert lower(graph, Precision.INT8).output == engine_build.program_of(graph, Precision.INT8, HERE).output
