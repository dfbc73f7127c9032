"""A dataset whose images lie in memory as one array."""

import hashlib
from collections.abc import Iterator

import numpy as np

from tensordyno.datasets.base import Batch, Dataset, FloatArray, InputFormat, LabelArray
from tensordyno.datasets.labels import check_labels
from tensordyno.datasets.preprocess import UInt8Array, check_format, input_of_arrays


class InMemory(Dataset):
    """Images (n, height, width, 1 or 3 channels in RGB order), uint8 or float 0..1, in stored order."""

    def __init__(
        self,
        name: str,
        pixels: UInt8Array | FloatArray,
        labels: LabelArray | None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        self.name = name
        self.labelled = labels is not None
        self.class_names = class_names
        self._pixels = pixels
        self._labels = labels

    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """At most `limit` images in stored order. Raises DataError when they cannot fit the network."""
        check_format(wanted)
        if self._labels is not None:
            check_labels(self.name, self._labels, self.class_names, wanted.classes)
        return self._batches(batch_size, wanted, min(limit, len(self._pixels)))

    def content_hash(self, limit: int | None = None) -> str:
        """SHA-256 over shape, type, pixels and labels of the first `limit` images."""
        pixels = self._pixels[:limit]
        digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
        for image in pixels:
            digest.update(np.ascontiguousarray(image).data)
        if self._labels is not None:
            digest.update(self._labels[:limit].astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def _batches(self, batch_size: int, wanted: InputFormat, count: int) -> Iterator[Batch]:
        for start in range(0, count, batch_size):
            part = slice(start, min(start + batch_size, count))
            labels = None if self._labels is None else self._labels[part]
            yield Batch(images=input_of_arrays(self._pixels[part], wanted), labels=labels)
