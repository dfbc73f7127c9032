"""Runs labelled or reference images through a built engine, outside any timed span."""

from collections.abc import Iterable

import numpy as np

from tensordyno.datasets.base import Batch
from tensordyno.engines.base import Engine, FloatArray
from tensordyno.vocabulary import Boundary


def logits_of(engine: Engine, images: FloatArray) -> FloatArray:
    """Logits (n, classes) of images (n, channels, height, width), for any n.

    The engine is built for one batch size: the last batch is filled up by repeating its last image.
    """
    size = engine.setup.batch_size
    pieces = [_one_batch(engine, images[i : i + size], size) for i in range(0, len(images), size)]
    return np.concatenate(pieces)


def logits_of_batches(engine: Engine, batches: Iterable[Batch]) -> tuple[FloatArray, list[int]]:
    """Logits and labels of all labelled batches."""
    logits: list[FloatArray] = []
    labels: list[int] = []
    for batch in batches:
        if batch.labels is not None:
            logits.append(logits_of(engine, batch.images))
            labels.extend(int(label) for label in batch.labels)
    return np.concatenate(logits), labels


def _one_batch(engine: Engine, images: FloatArray, size: int) -> FloatArray:
    missing = size - len(images)
    full = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
    step = engine.bind(np.ascontiguousarray(full), Boundary.HOST)
    step.run()
    return step.output()[: len(images)].copy()
