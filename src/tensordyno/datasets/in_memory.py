"""A dataset whose images lie in memory as one array."""

import hashlib
from collections.abc import Iterator

import numpy as np

from tensordyno.datasets.base import Batch, Dataset, FloatArray, InputFormat, LabelArray
from tensordyno.datasets.labels import check_labels
from tensordyno.datasets.preprocess import UInt8Array, check_format, input_of_arrays
from tensordyno.datasets.selection import IndexArray


class InMemory(Dataset):
    """Images (n, height, width, 1 or 3 channels in RGB order), uint8 or float 0..1.

    They come in the order of `positions`, which may name a part of them; None: all, in stored order.
    """

    def __init__(
        self,
        name: str,
        pixels: UInt8Array | FloatArray,
        labels: LabelArray | None,
        class_names: tuple[str, ...] | None = None,
        positions: IndexArray | None = None,
    ) -> None:
        self.name = name
        self.labelled = labels is not None
        self.class_names = class_names
        self.count = len(pixels if positions is None else positions)
        self._pixels = pixels
        self._labels = labels
        self._positions = np.arange(len(pixels)) if positions is None else positions

    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """At most `limit` images. Raises DataError when they cannot fit the network."""
        check_format(wanted)
        if self._labels is not None:
            check_labels(self.name, self._labels, self.class_names, wanted.classes)
        return self._batches(batch_size, wanted, self._positions[:limit])

    def content_hash(self, limit: int | None = None) -> str:
        """SHA-256 over shape, type, pixels and labels of the first `limit` images."""
        chosen = self._positions[:limit]
        shape = (len(chosen), *self._pixels.shape[1:])
        digest = hashlib.sha256(f"{shape} {self._pixels.dtype}".encode())
        for position in chosen:
            digest.update(np.ascontiguousarray(self._pixels[position]).data)
        if self._labels is not None:
            digest.update(self._labels[chosen].astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def fingerprints(self, limit: int | None = None) -> Iterator[str]:
        """SHA-256 over shape, type and pixels of each of the first `limit` images."""
        return _fingerprints(self._pixels, self._positions[:limit])

    def _batches(self, batch_size: int, wanted: InputFormat, chosen: IndexArray) -> Iterator[Batch]:
        for start in range(0, len(chosen), batch_size):
            part = chosen[start : start + batch_size]
            labels = None if self._labels is None else self._labels[part]
            yield Batch(images=input_of_arrays(self._pixels[part], wanted), labels=labels)


def looks_of(pixels: UInt8Array | FloatArray) -> list[str]:
    """One text an image, equal where images are."""
    return list(_fingerprints(pixels, np.arange(len(pixels))))


def _fingerprints(pixels: UInt8Array | FloatArray, positions: IndexArray) -> Iterator[str]:
    form = f"{pixels.shape[1:]} {pixels.dtype}".encode()
    for position in positions:
        digest = hashlib.sha256(form)
        digest.update(np.ascontiguousarray(pixels[position]).data)
        yield digest.hexdigest()[:16]
