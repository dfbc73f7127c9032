"""Programs compute what their graphs do, whatever stands where in memory."""

from dataclasses import replace

import numpy as np
import pytest
import random_networks
from forge_graphs import Network, networks
from forge_programs import run_program
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from onnx_classifiers import classifier, random_images, read
from qdq_network import extremes

from tensordyno.errors import Unsupported
from tensordyno.forge import graph as g
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.lower import lower
from tensordyno.forge.program import Format
from tensordyno.forge.simplify import simplify
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.records.calibration import TensorRange
from tensordyno.vocabulary import Precision

REAL = {  # the arithmetic and the format of what has no scale
    Precision.INT8: (Precision.FP16, Format.FP16),
    Precision.FP16: (Precision.FP16, Format.FP16),
    Precision.BF16: (Precision.BF16, Format.BF16),
    Precision.TF32: (Precision.TF32, Format.FP32),
    Precision.FP32: (Precision.FP32, Format.FP32),
}


def moves_values(graph):
    """Whether a reshape takes an image of many pixels and channels apart."""
    reshapes = [node for node in graph.nodes if isinstance(node, g.Reshape)]
    shapes = [(graph.tensor(node.inputs[0]).shape, graph.tensor(node.output).shape) for node in reshapes]
    return any(source[0] != target[0] for source, target in shapes)


def check(graph, images, precision):
    """The program makes the same bits, in any engine."""
    found = run_program(lower(graph, precision), images)
    np.testing.assert_array_equal(found, evaluate(graph, images, REAL[precision][0]))


def check_or_refuse(graph, images, precision):
    if not moves_values(graph):
        check(graph, images, precision)
        return
    with pytest.raises(Unsupported):
        lower(graph, precision)


@given(drawn=networks(quantized=True), precision=st.sampled_from([Precision.INT8, Precision.TF32]))
def test_rounded_networks(drawn, precision):
    graph, images = drawn
    check_or_refuse(simplify(graph), images, precision)


@pytest.mark.parametrize("precision", REAL)
@given(drawn=networks())
def test_real_networks(precision, drawn):
    graph, images = drawn
    check_or_refuse(simplify(graph), images, precision)


@given(network=random_networks.networks())
def test_networks_from_files(network):
    model, images = network.model(), network.images()
    program = lower(simplify(read(model)), Precision.FP32)
    expected = random_networks.answers(model, images)
    np.testing.assert_allclose(run_program(program, images), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("form", Form)
def test_a_rounded_network_from_a_file(form, tmp_path):
    """Three branches, one of them a sum, and a product over what they make, 4 x 4 pixels."""
    network = random_networks.Network(seed=3)
    stem = network.node("Relu", [network.conv("images", 8)])
    block = network.node("Relu", [network.node("Add", [network.conv(stem, 8), stem])])
    parts = [network.node("Relu", [network.conv(block, channels, 1)]) for channels in (4, 20)]
    pooled = network.max_pool(network.concat(*parts, block))
    small = network.node("MaxPool", [pooled], kernel_shape=[2, 2], strides=[2, 2])
    flat = network.node("Flatten", [small], channels=32 * 4 * 4)
    network.gemm(flat, random_networks.CLASSES, result="logits")
    images = network.images()
    (tmp_path / "model.onnx").write_bytes(network.model().SerializeToString())
    model = _quantized(tmp_path / "model.onnx", form, images)
    graph = simplify(read(model))
    program = lower(graph, Precision.INT8)
    assert {operation.precision for operation in program.operations if _is_layer(operation)} == {"int8"}
    assert not any(isinstance(operation.node, g.Concat | g.Reshape) for operation in program.operations)
    np.testing.assert_array_equal(run_program(program, images), evaluate(graph, images, Precision.FP16))
    expected = random_networks.answers(model, images)
    assert random_networks.decibels(expected, run_program(program, images)) > 30


def _quantized(path, form, images):
    """The Q/DQ file with the ranges of those images."""
    graph = open_graph(path)
    placement = place(graph)
    seen = extremes(graph, placement.tensors, images)
    ranges = {}
    for group in placement.groups:
        low, high = min(seen[name][0] for name in group), max(seen[name][1] for name in group)
        ranges |= dict.fromkeys(group, TensorRange(threshold=max(-low, high), low=low, high=high))
    return write_qdq(graph, placement, ranges, form)


def _is_layer(operation):
    return isinstance(operation.node, g.Convolution)


def test_an_average_of_a_file_needs_no_layers():
    model = classifier([helper.make_node("GlobalAveragePool", ["images"], ["mean"])])
    graph = simplify(read(model))
    images = random_images(graph)
    found = run_program(lower(graph, Precision.FP16), images)
    np.testing.assert_allclose(found, images.mean(axis=(2, 3)), atol=1e-3)


@pytest.fixture
def net():
    return Network(3, 4, 6)


def mixed(net, output_scale=None):
    """A layer of integers, one of real numbers, and the means of their sum."""
    image = net.quantize("images", 0.02)
    integers = net.conv(image, 4, (1, 1), int8=True)
    net.tensors[integers] = replace(net.tensors[integers], scale=0.05, unsigned=True)
    real = net.conv(integers, 4, (1, 1))
    logits = net.reshape(net.mean(net.sum(real, integers)), 4)
    net.tensors[logits] = replace(net.tensors[logits], scale=output_scale)
    return net.graph(logits)


@pytest.mark.parametrize("precision", REAL)
def test_formats_and_arithmetic(net, precision):
    graph = mixed(net)
    program = lower(graph, precision)
    arithmetic, real = REAL[precision]
    integers, layer, total, mean = program.operations
    assert [operation.precision for operation in program.operations] == ["int8", *[arithmetic] * 3]
    assert [operation.output.format for operation in program.operations] == ["uint8", real, real, "fp32"]
    assert total.inputs == (layer.output, integers.output)
    assert (program.output, mean.output.pitch) == (mean.output, 16)
    images = rounded(net.images(), Precision.BF16)  # which both ways divide and round alike
    unrounded = run_program(program, images)  # the mean is stored as the logits that it becomes
    expected = evaluate(graph, images, arithmetic)
    np.testing.assert_array_equal(rounded(unrounded, arithmetic), rounded(expected, arithmetic))


def test_integer_weights_of_a_real_image_are_real(net):
    graph = net.graph(net.conv("images", 4, int8=True))
    assert [operation.precision for operation in lower(graph, Precision.INT8).operations] == ["fp16"]
    check(graph, net.images(), Precision.INT8)


def test_an_image_that_is_only_rounded_goes_in_as_integers(net):
    program = lower(mixed(net), Precision.INT8)
    assert (program.input.format, program.input.pitch, program.input.scale) == (Format.INT8, 3, 0.02)
    assert not any(isinstance(operation.node, g.Quantize) for operation in program.operations)


def test_an_image_that_others_read_too_stays_real(net):
    graph = net.graph(net.sum(net.quantize("images", 0.02), "images"))
    program = lower(graph, Precision.INT8)
    assert (program.input.format, program.input.pitch) == (Format.FP16, 3)
    assert [type(operation.node) for operation in program.operations] == [g.Quantize, g.Add]
    check(graph, net.images(), Precision.INT8)


def copies(program):
    """The operations that are nothing but a copy, with the tensors that they read."""
    found = [operation for operation in program.operations if isinstance(operation.node, g.Concat)]
    assert all(len(operation.node.inputs) == len(operation.inputs) == 1 for operation in found)
    return {operation.node.inputs[0]: operation for operation in found}


def test_a_concatenation_copies_what_is_not_in_place(net):
    """The image, the second one of two, and what has another scale."""
    same, finer = net.quantize(net.relu("images"), 0.0625), net.quantize(net.relu("images"), 0.03125)
    image = net.quantize("images", 0.0625)
    parts = (same, finer, image, same)
    whole = net.add(g.Concat, parts, (12, 4, 6), 0.0625)
    graph = net.graph(net.dequantize(whole)).with_nodes(tuple(net.nodes))
    program = lower(graph, Precision.INT8)
    found = copies(program)
    assert list(found) == [finer, same]
    assert [found[name].output.first for name in found] == [3, 9]
    assert found[finer].inputs[0].scale == 0.03125
    assert found[same].inputs[0].first == 0
    assert {operation.node.name for operation in found.values()} == {"Concat_5"}
    check(graph, net.images(), Precision.INT8)


def test_a_concatenation_copies_the_image(net):
    graph = net.graph(net.relu(net.concat(net.relu("images"), "images")))
    program = lower(graph, Precision.FP16)
    assert list(copies(program)) == ["images"]
    assert (copies(program)["images"].output.first, copies(program)["images"].inputs) == (3, (program.input,))
    check(graph, net.images(), Precision.FP16)


def test_what_is_in_place_is_no_operation(net):
    inner = net.concat(net.relu("images"), net.relu("images", -1.0, 1.0))
    whole = net.concat(net.relu("images", 0.5), inner)
    graph = net.graph(net.sum(whole, net.concat(whole)))
    program = lower(graph, Precision.FP16)
    assert [type(operation.node) for operation in program.operations] == [g.Activation] * 3 + [g.Add]
    check(graph, net.images(), Precision.FP16)


def test_a_reshape_that_rounds_is_a_copy(net):
    mean = net.quantize(net.mean("images"), 0.0625)
    flat = net.add(g.Reshape, mean, (3,), 0.125)
    graph = net.graph(net.relu(net.dequantize(flat)))
    assert list(copies(lower(graph, Precision.INT8))) == [mean]
    check(graph, net.images(), Precision.INT8)


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 1, 1), (7, 1, 1)])
def test_an_image_that_is_only_flattened_is_copied_to_the_logits(shape):
    net = Network(*shape)
    graph = net.graph(net.reshape("images"))
    program = lower(graph, Precision.BF16)
    assert list(copies(program)) == ["images"]
    assert program.output.channels == np.prod(shape)
    check(graph, net.images(), Precision.BF16)


def test_a_flattened_image_meets_its_readers_as_it_is():
    net = Network(1, 5, 7)
    flat = net.reshape("images", 35)
    graph = net.graph(net.sum(net.relu(flat), flat))
    assert len(lower(graph, Precision.FP32).operations) == 2
    check(graph, net.images(), Precision.FP32)


@pytest.mark.parametrize("unsigned", [False, True])
def test_integers_go_in_as_they_are(net, unsigned):
    integers = net.quantize("images", 0.5, unsigned)
    pooled = net.add(g.MaxPool, integers, (3, 2, 3), 0.5, unsigned, kernel=(2, 2), stride=(2, 2))
    program = lower(net.graph(net.dequantize(pooled)), Precision.INT8)
    kind = np.uint8 if unsigned else np.int8
    images = np.random.default_rng(2).integers(0, 99, (3, 3, 4, 6)).astype(kind)
    assert (program.input.format is Format.UINT8) is unsigned
    expected = images.reshape(3, 3, 2, 2, 3, 2).max(axis=(3, 5)) / 2
    np.testing.assert_array_equal(run_program(program, images), expected.reshape(3, -1))


def test_what_forge_does_not_have_is_refused_in_a_sentence(net):
    cases = {
        "Forge does not compute in fp8.": (mixed(net), Precision.FP8),
        "'t5' is not made, or rounded.": (mixed(Network(3, 4, 6), 0.5), Precision.INT8),
        "'images' is not made, or rounded.": (Network(3, 1, 1).graph("images"), Precision.FP32),
    }
    for end, (graph, precision) in cases.items():
        with pytest.raises(Unsupported) as caught:
            lower(graph, precision)
        assert caught.value.sentence.endswith(end)
