import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from qdq_network import extremes
from random_networks import Network, answers, decibels, networks

from tensordyno.errors import DataError
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.grid import quantize_dequantize
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import step_of, write_qdq
from tensordyno.records.calibration import TensorRange


def opened(network, folder):
    onnx.save(network.model(), folder / "net.onnx")
    return open_graph(folder / "net.onnx")


def ranges_of(graph, placement, images, factor=1.0):
    seen = extremes(graph, placement.tensors, images)
    found = {}
    for group in placement.groups:
        largest = max(max(-seen[name][0], seen[name][1]) for name in group) or 1.0
        found |= {name: TensorRange(threshold=factor * largest, low=-1, high=1) for name in group}
    return found


def written(network, folder, form, factor=1.0, **asked):
    graph = opened(network, folder)
    placement = place(graph, **asked)
    model = write_qdq(graph, placement, ranges_of(graph, placement, network.images(8), factor), form)
    onnx.checker.check_model(model, full_check=True)
    return model


@given(network=networks(), factor=st.sampled_from([0.2, 0.7, 1.0]), data=st.data())
def test_both_forms_give_identical_answers(network, factor, data, tmp_path_factory):
    graph = opened(network, tmp_path_factory.mktemp("net"))
    layers = place(graph).layers
    placement = place(graph, keep=data.draw(st.sets(st.sampled_from(layers), max_size=len(layers) - 1)))
    images = network.images(8)
    ranges = ranges_of(graph, placement, images, factor)
    uint8, int8 = (write_qdq(graph, placement, ranges, form) for form in (Form.UINT8, Form.INT8))
    onnx.checker.check_model(uint8, full_check=True)
    expected = answers(int8, images)
    np.testing.assert_array_equal(answers(uint8, images), expected)
    assert decibels(expected, answers(uint8, images, optimised=True)) > 30  # a step here and there
    assert decibels(expected, answers(int8, images, optimised=True)) > 30


@given(network=networks())
def test_the_rectified_form_answers_the_same_within_the_ranges(network, tmp_path_factory):
    graph = opened(network, tmp_path_factory.mktemp("net"))
    placement, images = place(graph), network.images(8)
    int8 = write_qdq(graph, placement, ranges_of(graph, placement, images, 1.5), Form.INT8)
    rectified = write_qdq(graph, placement, ranges_of(graph, placement, images, 1.5), Form.RECTIFIED)
    onnx.checker.check_model(rectified, full_check=True)
    np.testing.assert_allclose(answers(rectified, images), answers(int8, images), atol=1e-5)


@settings(max_examples=20)
@given(network=networks())
def test_int8_answers_are_close_to_float(network, tmp_path_factory):
    graph = opened(network, tmp_path_factory.mktemp("net"))
    placement, images = place(graph), network.images(8)
    model = write_qdq(graph, placement, ranges_of(graph, placement, images), Form.UINT8)
    assert decibels(answers(graph, images), answers(model, images)) > 15


def residual_and_concat():
    network = Network(11)
    x = network.max_pool(network.node("Relu", [network.conv("images", 8)]))
    y = network.conv(network.node("Relu", [network.conv(x, 8)]), 8)
    x = network.node("Relu", [network.node("Add", [y, x])])
    branches = [network.node("Relu", [network.conv(x, 4)]), network.max_pool(x)]
    x = network.clip(network.conv(network.average_pool(network.concat(*branches)), 8, kernel=1))
    network.head(x, hidden=True)
    return network


def stored(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("form", Form)
def test_known_ranges_become_exactly_these_scales(form, tmp_path):
    graph = opened(residual_and_concat(), tmp_path)
    placement = place(graph)
    ranges = {
        name: TensorRange(threshold=1.0 + position / 7, low=-1, high=1)
        for position, group in enumerate(placement.groups)
        for name in group
    }
    model = write_qdq(graph, placement, ranges, form)
    values = stored(model)
    scales = {values[node.input[1]].item() for node in model.graph.node if node.op_type == "QuantizeLinear"}
    expected = {np.float32((1.0 + position / 7) / 127).item() for position in range(len(placement.groups))}
    assert scales == expected
    types = {values[n.input[2]].dtype.name for n in model.graph.node if n.op_type == "QuantizeLinear"}
    assert types == {"int8" if form is Form.INT8 else "uint8"}


@pytest.mark.parametrize("form", Form)
def test_weights_lie_in_the_file_as_integers_with_a_scale_for_each_channel(form, tmp_path):
    network = Network(12)
    network.head(network.node("Relu", [network.conv("images", 8)]))
    graph = opened(network, tmp_path)
    model = written(network, tmp_path, form)
    name, floats = graph.graph.node[0].input[1], stored(graph)
    values = stored(model)
    weights, scale = values[f"{name}_int8"], values[f"{name}_scale"]
    np.testing.assert_array_equal(scale, np.abs(floats[name]).max(axis=(1, 2, 3)) / np.float32(127))
    assert weights.dtype == np.int8 and weights.min() >= -127
    error = np.abs(weights * scale[:, None, None, None] - floats[name])
    assert (error <= scale[:, None, None, None] * 0.50001).all()
    assert name not in values


def test_numbers_are_those_of_the_reference(tmp_path):
    """One 1x1 convolution and one Gemm, computed by hand from the grid."""
    network = Network(13)
    x = network.node("Relu", [network.conv("images", 8, kernel=1)])
    network.head(x)
    graph = opened(network, tmp_path)
    placement = place(graph)
    ranges = ranges_of(graph, placement, network.images(8), 0.5)
    images = network.images(3)
    found = answers(write_qdq(graph, placement, ranges, Form.INT8), images)

    def rounded(values, name):
        return quantize_dequantize(values, ranges[name].threshold).astype(np.float64)

    def layer(values, node, name):
        floats = stored(graph)
        w, b = (floats[i].astype(np.float64) for i in node.input[1:])
        w = w.reshape(len(w), -1)
        scale = np.abs(w).max(axis=1, keepdims=True) / 127
        grid = scale[:, 0] * step_of(name, ranges)
        return values @ (np.rint(w / scale) * scale).T + np.rint(b / grid) * grid

    conv, gemm = graph.graph.node[0], graph.graph.node[-1]
    pixels = rounded(images, "images").transpose(0, 2, 3, 1)
    features = rounded(np.maximum(layer(pixels, conv, "images"), 0), x)
    pooled = next(node for node in graph.graph.node if node.op_type == "GlobalAveragePool").output[0]
    means = rounded(features.mean(axis=(1, 2)), pooled)
    np.testing.assert_allclose(found, layer(means, gemm, gemm.input[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.inf, np.nan, 1e-44, 1e39])
def test_a_bad_range_names_its_tensor(threshold, tmp_path):
    graph = opened(residual_and_concat(), tmp_path)
    placement = place(graph)
    ranges = ranges_of(graph, placement, np.ones((1, 3, 8, 8), np.float32))
    wrong = placement.tensors[3]
    ranges[wrong] = TensorRange(threshold=threshold, low=0, high=0)
    with pytest.raises(DataError) as caught:
        write_qdq(graph, placement, ranges, Form.UINT8)
    assert caught.value.slug == "bad-range" and wrong in caught.value.line()


def test_a_missing_range_names_its_tensor(tmp_path):
    graph = opened(residual_and_concat(), tmp_path)
    with pytest.raises(DataError, match="images") as caught:
        write_qdq(graph, place(graph), {}, Form.INT8)
    assert caught.value.slug == "bad-range"


def test_weights_that_are_no_numbers_name_their_layer(tmp_path):
    network = Network(14)
    network.head(network.conv("images", 8))
    broken = network.weights[0]
    broken.CopyFrom(numpy_helper.from_array(np.full((8, 3, 3, 3), np.nan, np.float32), broken.name))
    graph = opened(network, tmp_path)
    one = TensorRange(threshold=1.0, low=-1, high=1)
    with pytest.raises(DataError, match=graph.graph.node[0].name) as caught:
        write_qdq(graph, place(graph), dict.fromkeys(place(graph).tensors, one), Form.UINT8)
    assert caught.value.slug == "bad-weights"


def test_products_of_sequences(tmp_path):
    """MatMul by a matrix: weights by column, the sum of its bias in float32."""
    network = Network(15)
    x = network.node("Relu", [network.conv("images", 6)])
    x = network.node("Reshape", [x, network.constant(np.array([-1, 6, 64]))])
    x = network.node("MatMul", [x, network.constant(network.normal(64, 5, scale=0.1))])
    x = network.node("Add", [x, network.constant(network.normal(5))])
    network.node("ReduceMean", [x], axes=[1], keepdims=0, result="logits")
    images, graph = network.images(8), opened(network, tmp_path)
    ranges = ranges_of(graph, place(graph), images)
    uint8, int8 = (write_qdq(graph, place(graph), ranges, form) for form in (Form.UINT8, Form.INT8))
    np.testing.assert_array_equal(answers(uint8, images), answers(int8, images))
    assert decibels(answers(network.model(), images), answers(uint8, images, optimised=True)) > 25


def test_metadata_and_names_of_the_source_stay(tmp_path):
    network = Network(16)
    network.head(network.conv("images", 4))
    model = network.model()
    onnx.helper.set_model_props(model, {"mean": "0.5"})
    onnx.save(model, tmp_path / "net.onnx")
    graph = open_graph(tmp_path / "net.onnx")
    one = TensorRange(threshold=1.0, low=-1, high=1)
    made = write_qdq(graph, place(graph), dict.fromkeys(place(graph).tensors, one), Form.INT8)
    assert {entry.key: entry.value for entry in made.metadata_props} == {"mean": "0.5"}
    assert [node.name for node in made.graph.node if node.op_type in ("Conv", "Gemm")] == [
        node.name for node in graph.graph.node if node.op_type in ("Conv", "Gemm")
    ]
