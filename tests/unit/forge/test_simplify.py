"""What is left of networks that are read from files, and that they answer as ONNX Runtime does."""

import warnings

import numpy as np
import pytest
from forge_graphs import check_order, kinds
from qdq_network import extremes
from random_networks import answers

from tensordyno.datasets.fashion import FILE
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.forge.simplify import simplify
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.records.calibration import TensorRange

LEFT = {
    "lenet5_fashion": ["Convolution", "MaxPool"] * 2 + ["Convolution"] * 3,
    "resnet8_fashion": ["Convolution"] * 9 + ["GlobalAveragePool", "Convolution"],
}


@pytest.fixture(scope="module")
def pictures():
    """128 images to calibrate with and 64 others, as the networks' cards say."""

    def inputs(pixels):
        return ((pixels[:, None].astype(np.float32) / 255 - 0.2860) / 0.3530).astype(np.float32)

    with np.load(FILE) as stored:
        return inputs(stored["x_calib"][:128]), inputs(stored["x_test"][:64])


@pytest.fixture(scope="module", params=LEFT)
def files(request, tmp_path_factory, pictures):
    """A trained network's name, and its file in each form: "fp32" and the forms of Q/DQ."""
    import torch

    from tensordyno.models.resolve import resolve

    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    resolved = resolve(request.param)
    with warnings.catch_warnings():  # the old exporter is deprecated, and ten times faster
        warnings.simplefilter("ignore", DeprecationWarning)
        axes = {"images": {0: "N"}, "logits": {0: "N"}}
        example = (torch.zeros(2, *resolved.card.input_shape),)
        names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
        torch.onnx.export(resolved.module, example, path, dynamo=False, **names)
    graph = open_graph(path)
    placement = place(graph)
    seen = extremes(graph, placement.tensors, pictures[0])
    ranges = {}
    for group in placement.groups:
        low, high = min(seen[name][0] for name in group), max(seen[name][1] for name in group)
        ranges |= dict.fromkeys(group, TensorRange(threshold=max(-low, high), low=low, high=high))
    rounded = {str(form): write_qdq(graph, placement, ranges, form) for form in Form}
    return request.param, {"fp32": graph, **rounded}


@pytest.mark.parametrize(
    ("form", "exact"), [("fp32", False), (Form.INT8, True), *((form, False) for form in Form)]
)
def test_trained_networks(files, form, exact, pictures):
    name, models = files
    model, images = models[form], pictures[1]
    simple = simplify(read_graph(model.SerializeToString()), exact=exact)
    check_order(simple)
    left = kinds(simple)
    if exact and form != "fp32":
        left = [kind for kind in left if kind != "Add"]  # the roundings in front of them are kept
    assert left == LEFT[name]
    assert all(node.weight_scale is None for node in simple.nodes if hasattr(node, "weight")) is (
        form == "fp32"
    )
    assert (simple.tensor(simple.input).scale is None) is (form == "fp32")
    found, expected = evaluate(simple, images), answers(model, images)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99
    tolerance = {True: 0.01, False: 0.05}[exact] if form != "fp32" else 1e-5
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_names_of_operations_are_those_of_the_file(files):
    _, models = files
    simple = simplify(read_graph(models[Form.INT8].SerializeToString()))
    assert {node.name for node in simple.nodes} <= {node.name for node in models["fp32"].graph.node}
