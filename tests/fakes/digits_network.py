"""A convolutional network trained in a second or two on scikit-learn's handwritten digits, 8 x 8 pixels.

`digits_data(FILE.npz)` writes 597 test images and 300 others for calibration; `prepared_digits(FOLDER)`
trains on the 1,200 that are not for testing, and prepares the network as the models package does.
"""

import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from tensordyno.datasets.base import DataRequest, InputFormat, open_dataset
from tensordyno.models.base import BATCH_AXIS, PreparedModel
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.vocabulary import WeightsKind

SHAPE = (1, 8, 8)
CLASSES = 10
LOOK = Preprocessing(mean=(0.3,), std=(0.37,), channels="grey")
TRAINED_ON = 1200
CALIBRATION = 300  # of those trained on
REFERENCES = 32


class DigitsNetwork(nn.Module):
    """Three convolutions with batch normalisation, a residual sum, two poolings, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _block(1, 16)
        self.second = _block(16, 32)
        self.third = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))
        self.classify = nn.Linear(32 * 4, CLASSES)

    def forward(self, images):
        features = nn.functional.max_pool2d(self.second(self.first(images)), 2)
        features = torch.relu(features + self.third(features))
        return self.classify(torch.flatten(nn.functional.avg_pool2d(features, 2), 1))


def _block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


@cache
def _pixels():
    """Every digit as uint8, in stored order, and its label."""
    digits = load_digits()
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64)


def digits_data(path: Path) -> Path:
    """Write the images: `x`, `y` for testing, `x_calib`, `y_calib` for calibration."""
    pixels, labels = _pixels()
    np.savez(
        path,
        x=pixels[TRAINED_ON:],
        y=labels[TRAINED_ON:],
        x_calib=pixels[:CALIBRATION],
        y_calib=labels[:CALIBRATION],
    )
    return path


@contextmanager
def _one_thread():
    """Layers this small are slower on several, and the same everywhere on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def digits():
    """What `digits_network:digits` names: the trained network and its card."""
    look = {"mean": LOOK.mean, "std": LOOK.std, "channels": LOOK.channels}
    return trained_digits(), {"input_shape": SHAPE, "classes": CLASSES, "preprocessing": look}


@cache
def trained_digits():
    """The network, trained with the same result every time."""
    pixels, labels = (torch.from_numpy(array[:TRAINED_ON]) for array in _pixels())
    images = (pixels[:, None] / 255 - LOOK.mean[0]) / LOOK.std[0]
    with torch.random.fork_rng(), _one_thread():
        torch.manual_seed(0)
        network = DigitsNetwork()
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(12):
            for part in torch.randperm(len(images)).split(100):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
                optimiser.step()
    return network.eval()


def prepared_digits(folder: Path, network: DigitsNetwork | None = None) -> PreparedModel:
    """Graph, weights and reference answers of the trained network, or of another like it, in `folder`."""
    network = network or trained_digits()
    data = open_dataset(DataRequest(name=str(digits_data(folder / "digits.npz"))))
    wanted = InputFormat(shape=SHAPE, classes=CLASSES, preprocessing=LOOK)
    (batch,) = data.batches(REFERENCES, wanted, REFERENCES)
    with torch.no_grad():
        logits = network(torch.from_numpy(batch.images)).numpy()
    model = PreparedModel(
        facts=ModelFacts(
            name="digits_network:digits",
            input_shape=SHAPE,
            classes=CLASSES,
            parameters=sum(p.numel() for p in network.parameters()),
            macs=0,
            weights=WeightsKind.EMBEDDED,
            weights_hash="digits",
            preprocessing=LOOK,
        ),
        folder=folder,
        onnx=folder / "model.onnx",
        weights=folder / "weights.safetensors",
        reference=folder / "reference.npz",
    )
    save_file(network.state_dict(), model.weights)
    np.savez(model.reference, images=batch.images, logits=logits)
    with warnings.catch_warnings():  # the old exporter is deprecated, and ten times faster
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, *SHAPE),),
            model.onnx,
            dynamo=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: BATCH_AXIS}, "logits": {0: BATCH_AXIS}},
        )
    return model
