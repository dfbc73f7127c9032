"""Fashion-MNIST as shipped (Xiao et al. 2017, MIT licence): 2000 test and 500 calibration images, 28 x 28."""

from pathlib import Path

import numpy as np

from tensordyno.datasets.base import DataRequest, Dataset
from tensordyno.datasets.in_memory import InMemory, looks_of
from tensordyno.datasets.selection import select

FILE = Path(__file__).parents[1] / "data" / "fashion" / "fashion_mnist.npz"
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def open_member(request: DataRequest) -> Dataset:
    """The first 2000 images of the test set, or as calibration split the first 500 training images."""
    split = "calib" if request.split == "calibration" else "test"
    with np.load(FILE) as stored:
        pixels, labels = stored[f"x_{split}"], stored[f"y_{split}"]
    positions = select(len(pixels), request, has_both=True, looks=lambda: looks_of(pixels))
    return InMemory("fashion", pixels[..., np.newaxis], labels.astype(np.int64), CLASS_NAMES, positions)
