import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from tensordyno.errors import DataError, StoreError, Unsupported
from tensordyno.models import prepared as module_under_test
from tensordyno.models.onnx_file import open_classifier
from tensordyno.models.prepared import load_module, load_prepared, prepare
from tensordyno.models.reference import onnx_logits, torch_logits
from tensordyno.models.resolve import resolve
from tensordyno.quantize.base import Form
from tensordyno.records.model import PreprocessingChange
from tensordyno.vocabulary import WeightsKind

IMAGES = np.random.default_rng(0).standard_normal((9, 1, 28, 28)).astype(np.float32)


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    return prepare(resolve("lenet5_fashion"), tmp_path_factory.mktemp("prepared") / "lenet", IMAGES)


def test_the_folder_holds_what_engines_need(lenet):
    assert sorted(f.name for f in lenet.folder.iterdir()) == [
        *("facts.json", "model.onnx", "reference.npz", "weights.safetensors"),
    ]
    assert lenet.facts.weights is WeightsKind.PACKAGED
    assert (lenet.facts.parameters, lenet.facts.macs, lenet.facts.activations) == (61_706, 416_520, 16_962)
    assert len(lenet.facts.weights_hash) == 16
    with np.load(lenet.reference) as reference:
        assert np.array_equal(reference["images"], IMAGES)
        assert reference["logits"].dtype == np.float32
        np.testing.assert_allclose(onnx_logits(str(lenet.onnx), IMAGES), reference["logits"], atol=1e-4)


def test_the_module_comes_back_with_its_weights(lenet):
    with np.load(lenet.reference) as reference:
        assert np.array_equal(torch_logits(load_module(lenet), IMAGES), reference["logits"])


def test_loading_needs_no_framework(lenet):
    code = (
        "import sys; from pathlib import Path; from tensordyno.models.prepared import load_prepared; "
        f"facts = load_prepared(Path({str(lenet.folder)!r})).facts; "
        "frameworks = {'torch', 'onnx', 'onnxruntime', 'safetensors'} & set(sys.modules); "
        "sys.exit(bool(frameworks) or facts.classes != 10)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_network_prepared_again_has_the_same_hash_and_replaces_the_folder(tmp_path, lenet):
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "rubbish").write_text("x")
    again = prepare(resolve("lenet5_fashion"), tmp_path / "again", IMAGES[:1])
    assert again.facts == lenet.facts
    assert not (again.folder / "rubbish").exists()


def test_a_prepared_onnx_file_can_be_prepared_itself(tmp_path, lenet):
    graph = prepare(resolve(str(lenet.onnx)), tmp_path / "graph", IMAGES)
    assert graph.weights is None
    assert graph.facts.weights is WeightsKind.EMBEDDED
    assert (graph.facts.macs, graph.facts.parameters, graph.facts.classes) == (416_520, 61_706, 10)
    with np.load(graph.reference) as ours, np.load(lenet.reference) as theirs:
        np.testing.assert_allclose(ours["logits"], theirs["logits"], atol=1e-4)
    with pytest.raises(Unsupported, match="came as an ONNX file"):
        load_module(graph)


def test_an_interrupted_preparation_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module_under_test, "torch_logits", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(resolve("lenet5_fashion"), tmp_path / "lenet", IMAGES)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="no complete prepared model") as caught:
        load_prepared(tmp_path / "lenet")
    assert caught.value.slug == "not-prepared"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_args, **_more):
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(b"x")

    monkeypatch.setattr(module_under_test.np, "savez", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        prepare(resolve("lenet5_fashion"), tmp_path / "lenet", IMAGES)
    assert caught.value.slug == "cannot-prepare"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lost", ["facts.json", "model.onnx", "reference.npz"])
def test_a_folder_that_lost_a_file_is_refused(tmp_path, lenet, lost):
    for file in lenet.folder.iterdir():
        if file.name != lost:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=lost.partition(".")[0]):
        load_prepared(tmp_path)


def test_tied_weights_are_stored(tmp_path, monkeypatch):
    text = "from torch import nn\ndef make():\n    a, b = nn.Linear(784, 784), nn.Linear(784, 784)\n"
    text += "    b.weight = a.weight\n"
    text += "    return nn.Sequential(nn.Flatten(), a, b), {'input_shape': (1, 28, 28)}\n"
    (tmp_path / "tied_net.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    tied = prepare(resolve("tied_net:make"), tmp_path / "tied", IMAGES[:2])
    loaded = load_module(tied)
    assert torch.equal(loaded[1].weight, loaded[2].weight)
    assert tied.facts.name == "tied_net:make"


def test_the_graph_notes_how_images_become_inputs(lenet, tmp_path):
    card = open_classifier(lenet.onnx)[1]
    assert card.preprocessing == lenet.facts.preprocessing
    assert card.preprocessing.mean == (0.2860,)
    changed = resolve(str(lenet.onnx), preprocessing=PreprocessingChange(std=(0.5,)))
    again = prepare(changed, tmp_path / "again", IMAGES[:2])
    assert again.facts.preprocessing == replace(card.preprocessing, std=(0.5,))
    assert open_classifier(again.onnx)[1].preprocessing == again.facts.preprocessing


@pytest.mark.parametrize("form", Form)
def test_a_q_dq_file_is_prepared_as_what_it_is(tmp_path, lenet, form):
    qdq_network = pytest.importorskip("qdq_network")
    file = qdq_network.quantized(lenet, tmp_path / "qdq", IMAGES).onnx(form)
    made = prepare(resolve(str(file)), tmp_path / "made", IMAGES)
    assert made.facts.quantized and made.facts.int8_layers == 5
    assert not lenet.facts.quantized and lenet.facts.int8_layers == 0
    assert made.facts.macs == lenet.facts.macs
    with np.load(made.reference) as own, np.load(lenet.reference) as float32:
        noise = np.square(own["logits"] - float32["logits"]).sum() / np.square(float32["logits"]).sum()
    assert 1e-6 < noise < 1e-2  # its own answers, rounded to INT8: not those of the network before
