"""A network of a few thousand weights, prepared as files the way the models package prepares one."""

import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from tensordyno.models.base import BATCH_AXIS, PreparedModel
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.vocabulary import WeightsKind

SHAPE = (3, 16, 16)
CLASSES = 10
REFERENCES = 8


class TinyNetwork(nn.Module):
    """Convolution, batch normalisation, a residual sum, pooling, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.classify = nn.Linear(16, CLASSES)

    def forward(self, images):
        features = torch.relu(self.norm(self.first(images)))
        features = torch.relu(features + self.second(features))
        return self.classify(torch.flatten(nn.functional.adaptive_avg_pool2d(features, 1), 1))


def tiny(classes=None):
    """What `tiny_network:tiny` names: a module with weights that are the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = TinyNetwork()
        network.norm.running_mean.normal_()
        network.norm.running_var.uniform_(0.5, 2.0)
        nn.init.normal_(network.classify.weight)
    return network.eval()


def prepared_tiny(folder: Path) -> PreparedModel:
    """Graph, weights and reference answers in `folder`."""
    network = tiny()
    images = np.random.default_rng(3).standard_normal((REFERENCES, *SHAPE), np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(images)).numpy()
    model = PreparedModel(
        facts=ModelFacts(
            name="tiny_network:tiny",
            input_shape=SHAPE,
            classes=CLASSES,
            parameters=sum(p.numel() for p in network.parameters()),
            macs=0,
            weights=WeightsKind.RANDOM,
            weights_hash="tiny",
            preprocessing=Preprocessing(),
        ),
        folder=folder,
        onnx=folder / "model.onnx",
        weights=folder / "weights.safetensors",
        reference=folder / "reference.npz",
    )
    save_file(network.state_dict(), model.weights)
    np.savez(model.reference, images=images, logits=logits)
    _export(network, model.onnx)
    return model


def _export(network: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():  # the old exporter is deprecated, and ten times faster
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, *SHAPE),),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: BATCH_AXIS}, "logits": {0: BATCH_AXIS}},
            dynamo=False,
        )
