"""Whole networks: exported, quantized by us, and quantized by ONNX Runtime."""

import math
import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from onnx_classifiers import check_like_runtime, random_images
from qdq_network import quantized
from random_networks import answers, decibels, networks
from tiny_network import SHAPE, prepared_tiny

from tensordyno.errors import DataError
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.graph import Convolution, Dequantize, Quantize
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.models.base import BATCH_AXIS
from tensordyno.models.count import count
from tensordyno.models.export import export_onnx
from tensordyno.models.resolve import resolve
from tensordyno.quantize.base import Form


def exported(name, folder):
    """A network of the catalogue, written by the exporter that is ten times faster; and its definition."""
    resolved = resolve(name)
    path = folder / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            resolved.module,
            (torch.zeros(2, *resolved.card.input_shape),),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: BATCH_AXIS}, "logits": {0: BATCH_AXIS}},
            dynamo=False,
        )
    return path, resolved


def kinds(graph):
    return Counter(type(node).__name__ for node in graph.nodes)


def macs(graph):
    """Multiply-accumulates of one image: each output pixel looks at all weights."""
    layers = (node for node in graph.nodes if isinstance(node, Convolution))
    return sum(math.prod(graph.tensor(node.output).shape[1:]) * node.weight.size for node in layers)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lenet5_fashion", {"Convolution": 5, "Activation": 4, "MaxPool": 2, "Reshape": 1}),
        (
            "resnet8_fashion",
            {"Convolution": 10, "Activation": 7, "Add": 3, "GlobalAveragePool": 1, "Reshape": 1},
        ),
        (
            "mobilenet_v2",
            {"Convolution": 53, "Activation": 35, "Add": 10, "GlobalAveragePool": 1, "Reshape": 1},
        ),
        (
            "googlenet",
            {
                "Convolution": 58,
                "Activation": 57,
                "MaxPool": 13,
                "Concat": 9,
                "GlobalAveragePool": 1,
                "Reshape": 1,
            },
        ),
    ],
)
def test_networks_of_the_catalogue_keep_their_operations_and_work(name, expected, tmp_path):
    path, resolved = exported(name, tmp_path)
    graph = read_graph(path)
    assert kinds(graph) == expected
    assert macs(graph) == count(resolved.module, resolved.card.input_shape).macs
    assert graph.tensor(graph.input).shape == resolved.card.input_shape
    assert graph.tensor(graph.output).shape == (resolved.card.classes,)
    if name.endswith("_fashion"):
        check_like_runtime(onnx.load(path))


def test_the_file_that_every_engine_reads(tmp_path):
    resolved = resolve("resnet8_fashion")
    export_onnx(resolved.module, resolved.card, tmp_path / "model.onnx")
    graph = check_like_runtime(onnx.load(tmp_path / "model.onnx"))
    assert (graph.input, graph.output) == ("images", "logits")
    assert macs(graph) == count(resolved.module, resolved.card.input_shape).macs


def test_nodes_come_behind_what_they_read():
    graph = read_graph(small_model())
    made = {graph.input}
    for node in graph.nodes:
        assert made.issuperset(node.inputs)
        made.add(node.output)
    assert made == set(graph.tensors)


def small_model():
    from random_networks import Network, _norm, _residual

    network = Network(1)
    network.head(_residual(network, _norm(network, "images")))
    return network.model().SerializeToString()


@settings(max_examples=25)
@given(networks())
def test_networks_drawn_at_random_compute_what_the_runtime_does(network):
    check_like_runtime(network.model())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return prepared_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny_int8(tiny):
    images = np.random.default_rng(1).standard_normal((16, *SHAPE), np.float32)
    return quantized(tiny, tiny.folder / "int8", images)


def check_quantized(path, layers):
    """Forge's reading of a Q/DQ file: int8 layers, and the answers of ONNX Runtime but for rare roundings."""
    graph = read_graph(path)
    found = [node.weight.dtype for node in graph.nodes if isinstance(node, Convolution)]
    assert found == [np.int8] * layers
    images = random_images(graph, 16)
    assert decibels(answers(onnx.load(path), images), evaluate(graph, images)) > 40
    return graph


@pytest.mark.parametrize("form", list(Form))
def test_our_quantized_files(tiny_int8, form):
    graph = check_quantized(tiny_int8.onnx(form), layers=3)
    steps = [tensor for tensor in graph.tensors.values() if tensor.scale is not None]
    assert kinds(graph)["Quantize"] == kinds(graph)["Dequantize"] > 0
    assert any(tensor.unsigned for tensor in steps) == (form is Form.RECTIFIED)
    assert all(graph.tensor(node.output).scale for node in graph.nodes if isinstance(node, Quantize))
    assert not any(graph.tensor(node.output).scale for node in graph.nodes if isinstance(node, Dequantize))


def test_both_signed_forms_are_the_same_numbers(tiny_int8):
    one, other = (read_graph(tiny_int8.onnx(form)) for form in (Form.INT8, Form.UINT8))
    images = random_images(one, 16)
    np.testing.assert_array_equal(evaluate(one, images), evaluate(other, images))
    layers, same = ([node for node in graph.nodes if isinstance(node, Convolution)] for graph in (one, other))
    for a, b in zip(layers, same, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.weight_scale, b.weight_scale)
        np.testing.assert_allclose(a.bias, b.bias, rtol=1e-6)


def by_runtime(tiny, folder, symmetric, kind, per_channel):
    """The tiny network as ONNX Runtime's own tool writes it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self):
            images = np.random.default_rng(1).standard_normal((16, *SHAPE), np.float32)
            self.feeds = iter([{"images": images}])

        def get_next(self):
            return next(self.feeds, None)

    quantize_static(
        tiny.onnx,
        folder / "ort.onnx",
        Images(),
        quant_format=QuantFormat.QDQ,
        activation_type=getattr(QuantType, kind),
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        extra_options={"ActivationSymmetric": symmetric},
    )
    return folder / "ort.onnx"


@pytest.mark.parametrize(("kind", "per_channel"), [("QInt8", True), ("QInt8", False), ("QUInt8", True)])
def test_files_of_onnx_runtime(tiny, tmp_path, kind, per_channel):
    graph = check_quantized(by_runtime(tiny, tmp_path, True, kind, per_channel), layers=3)
    assert not any(tensor.unsigned for tensor in graph.tensors.values())


def test_uneven_files_of_onnx_runtime_are_refused(tiny, tmp_path):
    with pytest.raises(DataError) as caught:
        read_graph(by_runtime(tiny, tmp_path, False, "QUInt8", True))
    assert caught.value.slug == "asymmetric-activations"
    assert caught.value.sentence.startswith("ort.onnx: the tensor 'images' is quantized to uint8 around ")
