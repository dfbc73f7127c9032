"""The files in the engines they are for: INT8 everywhere, and the right answers."""

from collections import Counter

import onnx
import onnxruntime as ort
import openvino_answers
import pytest
from hypothesis import given, settings
from qdq_network import extremes
from random_networks import Network, answers, decibels, networks

from tensordyno.engines.openvino_layers import layer_formats
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.records.calibration import TensorRange


def written(network, folder, form):
    """The Q/DQ model with the extremes over a few images as ranges."""
    onnx.save(network.model(), folder / "net.onnx")
    graph = open_graph(folder / "net.onnx")
    placement = place(graph)
    seen = extremes(graph, placement.tensors, network.images(8))
    ranges = {}
    for group in placement.groups:
        largest = max(max(-seen[name][0], seen[name][1]) for name in group) or 1.0
        ranges |= {name: TensorRange(threshold=largest, low=-1, high=1) for name in group}
    return write_qdq(graph, placement, ranges, form)


def many_parts():
    """Residual sum, concat, max and average pools, Clip, a hidden fully connected layer."""
    network = Network(11)
    x = network.max_pool(network.node("Relu", [network.conv("images", 8)]))
    y = network.conv(network.node("Relu", [network.conv(x, 8)]), 8)
    x = network.node("Relu", [network.node("Add", [y, x])])
    branches = [network.node("Relu", [network.conv(x, 4)]), network.max_pool(x)]
    x = network.clip(network.conv(network.average_pool(network.concat(*branches)), 8, kernel=1))
    x = network.node("Relu", [network.conv(x, 8, group=8)])
    network.head(x, hidden=True)
    return network


def test_onnx_runtime_computes_on_integers_from_end_to_end(tmp_path):
    model = written(many_parts(), tmp_path, Form.UINT8)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "runs.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "runs.onnx").graph.node)
    assert kinds["QLinearConv"] == 6 + 1  # the average pool is a convolution
    assert kinds["QGemm"] == 2
    assert kinds["QuantizeLinear"] == 1 and kinds["DequantizeLinear"] == 0
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "Add", "Relu", "Concat", "AveragePool"} & {*kinds}


@pytest.mark.parametrize("form", [Form.UINT8, Form.RECTIFIED])
def test_openvino_has_every_layer_in_int8(form, tmp_path):
    network = many_parts()
    model = written(network, tmp_path, form)
    compiled = openvino_answers.compiled(model, (2, 3, 8, 8), tmp_path / "qdq.onnx")
    assert layer_formats(compiled) == {"int8": 8 + (form is Form.UINT8)}  # there the average is one, too


@settings(max_examples=20)
@given(network=networks())
def test_openvino_answers_as_the_file_says(network, tmp_path_factory):
    """It leaves the rounding before a sum out, so that its answers are closer to FP32 than the file's."""
    folder = tmp_path_factory.mktemp("net")
    images = network.images(4)
    fp32 = answers(network.model(), images)
    for form in (Form.UINT8, Form.RECTIFIED):
        model = written(network, folder, form)
        found = openvino_answers.answers(model, images, folder / "qdq.onnx")
        noise = decibels(fp32, answers(model, images))
        assert decibels(answers(model, images), found) > min(25, noise)
