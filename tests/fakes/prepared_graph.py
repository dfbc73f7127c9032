"""Prepared models of ONNX graphs that were made for a test: the files that a worker would have left."""

from pathlib import Path

import numpy as np
import onnx
from random_networks import PARTS, Network, answers

from tensordyno.models.base import PreparedModel
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.vocabulary import WeightsKind


def prepared_graph(model: onnx.ModelProto, images: np.ndarray, folder: Path) -> PreparedModel:
    """Graph and ONNX Runtime's answers to the images, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    logits = answers(model, images)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "reference.npz", images=images, logits=logits)
    facts = ModelFacts(
        name=folder.name,
        input_shape=images.shape[1:],
        classes=logits.shape[1],
        parameters=0,
        macs=0,
        weights=WeightsKind.RANDOM,
        weights_hash=folder.name,
        preprocessing=Preprocessing(),
    )
    return PreparedModel(
        facts=facts,
        folder=folder,
        onnx=folder / "model.onnx",
        weights=None,
        reference=folder / "reference.npz",
    )


def network_of(seed: int) -> Network:
    """A small network, the same for the same seed: one or three channels in, then four parts."""
    random = np.random.default_rng(seed)
    network = Network(seed, 3 if seed % 3 else 1)
    x = network.node("Relu", [network.conv("images", 8)])
    for part in random.integers(0, len(PARTS), 4):
        x = PARTS[part](network, x)
    network.head(x, hidden=bool(seed % 2))
    return network
