"""Every network of the catalogue keeps the contract of `models/base.py`."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import tensordyno
from tensordyno.models.base import FAMILIES, cards, family_of
from tensordyno.models.export import export_onnx
from tensordyno.models.reference import onnx_logits, torch_logits
from tensordyno.models.resolve import build_definition, resolve
from tensordyno.models.traffic import activation_elements

NETWORKS = sorted(cards())
# One of each construction is exported and run; the others differ in depth and width only.
RUN = (
    "googlenet",
    "mobilenet_v2",
    "resnet18",
    "lenet5_fashion",
    "resnet8_fashion",
    "vgg6_fashion",
)
# Elements that layers read and write for an image, summed by hand from torchvision's graphs
MOVED = {"googlenet": 12.24e6, "mobilenet_v2": 13.73e6, "resnet18": 6.19e6}
FASHION = Path(tensordyno.__file__).parent / "data" / "fashion"
# First 2000 test images, top-1 of the float32 networks as trained
TRAINED = {"lenet5_fashion": 0.9070, "resnet8_fashion": 0.9315, "vgg6_fashion": 0.9355}


def on_meta(name, classes=None):
    with torch.device("meta"):
        return FAMILIES.module(family_of(name)).build(name, classes).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_is_a_literal_that_agrees_with_the_network(name):
    card = cards()[name]
    literal = FAMILIES.literal(family_of(name), "NETWORKS")[name]
    assert json.loads(json.dumps(literal)) is not None
    with torch.device("meta"):
        logits = on_meta(name)(torch.empty((3, *card.input_shape)))
    assert logits.shape == (3, card.classes)
    assert len(card.preprocessing.mean) == len(card.preprocessing.std) == card.input_shape[0]
    assert (card.preprocessing.resize or card.input_shape[1]) >= card.input_shape[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_number_of_classes_can_be_chosen(name):
    with torch.device("meta"):
        assert on_meta(name, 7)(torch.empty((2, *cards()[name].input_shape))).shape == (2, 7)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_is_single_precision_and_every_activation_is_out_of_place(name):
    module = on_meta(name)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert not [key for key, part in module.named_modules() if getattr(part, "inplace", False)]


@pytest.mark.parametrize("name", RUN)
def test_the_onnx_file_answers_as_the_module(name, tmp_path):
    resolved = resolve(name, seed=1)
    card, path = resolved.card, tmp_path / "model.onnx"
    export_onnx(resolved.module, card, path)
    images = np.random.default_rng(2).standard_normal((3, *card.input_shape)).astype(np.float32)
    expected = torch_logits(resolved.module, images)
    weight_bytes = sum(4 * p.numel() for p in resolved.module.parameters())
    assert path.stat().st_size < 1.05 * weight_bytes + 20_000
    for n in (1, 3):
        found = onnx_logits(str(path), images[:n])
        assert np.abs(found - expected[:n]).max() < 1e-3 * np.abs(expected).max()
    moved = activation_elements(onnx.load(path))
    assert moved == pytest.approx(MOVED.get(name, moved), rel=1e-3) and moved > np.prod(card.input_shape)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_are_as_accurate_as_when_they_were_trained(name):
    resolved = resolve(name)
    look = resolved.card.preprocessing
    with np.load(FASHION / "fashion_mnist.npz") as data:
        pixels, labels = data["x_test"][:, None] / np.float32(255), data["y_test"]
    logits = torch_logits(resolved.module, (pixels - np.float32(look.mean[0])) / np.float32(look.std[0]))
    assert len(labels) == 2000
    assert (logits.argmax(1) == labels).mean() == pytest.approx(TRAINED[name], abs=0.0005)


def test_a_definition_has_no_uninitialised_counter():
    module = build_definition("resnet8_fashion", 10)
    assert all(b.item() == 0 for k, b in module.named_buffers() if k.endswith("num_batches_tracked"))
