"""Synthetic images: seeded normal pixels, because zeros change the power and the speed of hardware."""

import hashlib
from collections.abc import Iterator

import numpy as np

from tensordyno.datasets.base import Batch, DataRequest, Dataset, FloatArray, InputFormat


class Synthetic(Dataset):
    """Standard normal inputs without labels; image i depends on seed, stream, shuffle and i alone."""

    name = "synthetic"

    def __init__(self, seed: int, stream: int = 0, shuffle: int = 0) -> None:
        self._seed = seed
        self._stream = stream
        self._shuffle = shuffle

    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """`limit` images with mean 0 and variance 1, as a photograph has after normalisation."""
        for start in range(0, limit, batch_size):
            numbers = range(start, min(start + batch_size, limit))
            yield Batch(images=np.stack([self._image(n, wanted.shape) for n in numbers]), labels=None)

    def content_hash(self, limit: int | None = None) -> str:
        """SHA-256 over the recipe: the images have no end."""
        return hashlib.sha256(self._recipe().encode()).hexdigest()[:16]

    def fingerprints(self, limit: int | None = None) -> Iterator[str]:
        """SHA-256 over the recipe of each image; none without a limit, for the images have no end."""
        for number in range(limit or 0):
            yield hashlib.sha256(f"{self._recipe()}, image {number}".encode()).hexdigest()[:16]

    def _recipe(self) -> str:
        shuffle = f", shuffle {self._shuffle}" if self._shuffle else ""
        return f"standard normal, PCG64, seed {self._seed}, stream {self._stream}{shuffle}"

    def _image(self, number: int, shape: tuple[int, int, int]) -> FloatArray:
        # a last word of 0 changes nothing: NumPy fills up what is shorter than four words with zeros
        words = [self._seed, self._stream, number, self._shuffle]
        generator = np.random.Generator(np.random.PCG64(words))
        return generator.standard_normal(shape, dtype=np.float32)


def open_member(request: DataRequest) -> Dataset:
    """Synthetic images; the calibration split has other ones than the test split, and so has each shuffle."""
    return Synthetic(request.seed, stream=int(request.split == "calibration"), shuffle=request.shuffle)
