"""From an ONNX file to logits and back from an engine file, on a CPU by Triton's interpreter."""

import numpy as np
import onnx
import pytest
import random_networks
import torch
from hypothesis import given, settings
from qdq_network import quantized
from random_networks import answers, decibels
from tiny_network import SHAPE, prepared_tiny

from tensordyno import forge
from tensordyno.errors import DataError, Unsupported, UsageError
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.onnx_reader import read_graph
from tensordyno.forge.simplify import simplify
from tensordyno.quantize.base import Form
from tensordyno.vocabulary import Precision

IMAGES = np.random.default_rng(2).standard_normal((4, *SHAPE), np.float32)
SIZES = (1, 3)
# decibels by which an engine's answers are closer to the oracle's than to anything else
CLOSE = {"fp32": 100, "tf32": 80, "fp16": 50, "bf16": 30, "int8": 40}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The ONNX file for each precision."""
    tiny = prepared_tiny(tmp_path_factory.mktemp("tiny"))
    images = np.random.default_rng(1).standard_normal((16, *SHAPE), np.float32)
    rounded = quantized(tiny, tiny.folder / "int8", images)
    return {
        **dict.fromkeys(CLOSE, tiny.onnx),
        "int8": rounded.onnx(Form.INT8),
        "uint8": rounded.onnx(Form.UINT8),
    }


def check_answers(engine, path, precision, images=IMAGES):
    """Close to the oracle and to ONNX Runtime."""
    logits = engine(images).numpy()
    graph = simplify(read_graph(path))
    reals = Precision.FP16 if precision == "int8" else Precision(precision)
    assert decibels(evaluate(graph, images, reals), logits) > CLOSE[precision]
    assert decibels(answers(onnx.load(path), images), logits) > 30
    return logits


@pytest.mark.parametrize("precision", CLOSE)
def test_an_engine_answers_and_comes_back_from_its_file(files, precision, tmp_path):
    engine = forge.build(files[precision], precision, SIZES, "cpu")
    logits = check_answers(engine, files[precision], precision)
    assert engine.batch_sizes == SIZES and engine.input_shape == SHAPE and engine.classes == logits.shape[1]
    engine.save(tmp_path / "tiny.engine")
    loaded = forge.load(tmp_path / "tiny.engine", "cpu")
    assert loaded.batch_sizes == SIZES and loaded.precision == precision
    np.testing.assert_array_equal(loaded(IMAGES), logits)
    loaded.save(tmp_path / "again.engine")
    assert (tmp_path / "again.engine").read_bytes() == (tmp_path / "tiny.engine").read_bytes()


def test_a_file_of_uint8(files):
    engine = forge.build(str(files["uint8"]), "int8", (2,), "cpu")
    check_answers(engine, files["uint8"], "int8")


def test_images_as_integers(files):
    engine = forge.build(files["int8"].read_bytes(), "int8", (4,), "cpu")
    logits = engine(IMAGES)
    integers = engine.executable(4).input.clone()
    assert engine.input_dtype == torch.int8 and integers.shape == (4, *SHAPE[1:], SHAPE[0])
    assert torch.equal(engine(integers), logits)
    assert torch.equal(engine(integers.numpy()[:2]), logits[:2])


@settings(max_examples=5)
@given(network=random_networks.networks())
def test_networks_drawn_at_random(network):
    model, images = network.model(), network.images(2)
    logits = forge.build(model.SerializeToString(), "fp32", (2,), "cpu")(images).numpy()
    expected = answers(model, images)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_refuses_integers_of_a_network_without(files):
    with pytest.raises(Unsupported, match="no integers to multiply") as caught:
        forge.build(files["fp32"], "int8", device="cpu")
    assert "dyno quantize" in caught.value.remedy


@pytest.mark.parametrize("sizes", [(), (0, 3), (-1,)])
def test_refuses_batches_of_nothing(files, sizes):
    with pytest.raises(UsageError) as caught:
        forge.build(files["fp32"], "fp32", sizes, "cpu")
    assert caught.value.slug == "bad-batch-size"


def test_an_engine_of_another_version_is_built_anew_on_request(files, tmp_path, monkeypatch):
    path = tmp_path / "old.engine"
    with monkeypatch.context() as before:
        before.setattr("tensordyno.forge.engine_file.forge_version", lambda: "0.0.0-old")
        forge.build(files["fp16"], "fp16", SIZES, "cpu").save(path)
    with pytest.raises(DataError, match=r"by forge 0\.0\.0-old") as caught:
        forge.load(path, "cpu")
    assert caught.value.slug == "engine-of-another-version"
    engine = forge.load(path, "cpu", rebuild=True)
    check_answers(engine, files["fp16"], "fp16")
    assert engine.selections and not forge_selects_twice(engine, tmp_path)


def forge_selects_twice(engine, folder):
    """Whether an engine that fits is chosen anew as well."""
    engine.save(folder / "new.engine")
    return forge.load(folder / "new.engine", "cpu", rebuild=True).selections
