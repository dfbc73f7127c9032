"""Runs labelled or reference images through a built engine, outside any timed span."""

from collections.abc import Iterable, Iterator

import numpy as np

from tensordyno.datasets.base import Batch, LabelArray
from tensordyno.engines.base import Engine, FloatArray


def logits_of(engine: Engine, images: FloatArray) -> FloatArray:
    """Logits (n, classes) of images (n, channels, height, width), for any n.

    The engine is built for one batch size: the last batch is filled up by repeating its last image.
    """
    size = engine.setup.batch_size
    pieces = [_one_batch(engine, images[i : i + size], size) for i in range(0, len(images), size)]
    return np.concatenate(pieces)


def logits_of_batches(engine: Engine, batches: Iterable[Batch]) -> Iterator[tuple[FloatArray, LabelArray]]:
    """Logits (n, classes) and labels (n,) of each labelled batch."""
    for batch in batches:
        if batch.labels is not None:
            yield logits_of(engine, batch.images), batch.labels


def _one_batch(engine: Engine, images: FloatArray, size: int) -> FloatArray:
    missing = size - len(images)
    full = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
    return engine.answer(np.ascontiguousarray(full))[: len(images)].copy()
