"""The images a network is calibrated on: found, counted and hashed at once, read when somebody asks."""

import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np

from tensordyno.datasets.base import (
    Batch,
    FloatArray,
    InputFormat,
    LabelArray,
    open_dataset,
)
from tensordyno.datasets.requests import to_calibrate
from tensordyno.quantize.cache import key_of
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import ModelFacts
from tensordyno.records.trial import Trial

PIECE = 4  # images handed on at a time, whatever the batch size they are read in
HELD_BACK_PART = 5  # one image in so many judges what the others led to
_MOST_HELD_BACK = 250  # they are held in memory


class Slice(NamedTuple):
    """Images in memory, float32 (n, C, H, W), and their labels (n,) or None."""

    images: FloatArray
    labels: LabelArray | None


class CalibrationImages:
    """The images that a trial's calibration asks for, in the order of its seed.

    The last fifth of them, at most 250, is the held-back slice; the others are the rest. Both depend on the
    data, the number of images asked for and the seed: not on the batch size they are read in.
    Construction opens the data and raises DataError or UnknownName.
    """

    def __init__(self, trial: Trial, facts: ModelFacts) -> None:
        self._calibration = trial.calibration or Calibration()
        self._dataset = open_dataset(to_calibrate(trial))
        self._look = facts.preprocessing  # with the trial's changes
        self._shape = facts.input_shape
        names = self._dataset.class_names
        self._fits = names is None or len(names) == facts.classes
        # labels of other classes are of no use, but the images are
        self._classes = facts.classes if names is None else len(names)
        self._skips = trial.skip_unreadable

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._dataset.name

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """One hash an image, in the order in which they are read."""
        return tuple(self._dataset.fingerprints(self._calibration.images))

    @property
    def count(self) -> int:
        """How many there are: as many as asked for, or all."""
        return len(self.fingerprints)

    @property
    def held_back(self) -> int:
        """How many of the last are held back. A single image cannot be divided."""
        return min(max(1, self.count // HELD_BACK_PART), _MOST_HELD_BACK) if self.count > 1 else 0

    @cached_property
    def content_hash(self) -> str:
        """Of the images as they are stored, labels included (16 hex digits)."""
        return self._dataset.content_hash(None if self._skips else self._calibration.images)

    @cached_property
    def key(self) -> str:
        """Of everything that decides which numbers the network sees."""
        look = msgspec.json.encode(self._look).decode()
        return key_of(self.content_hash, *self.fingerprints, look, str(self._shape))

    def read(self) -> "Reader":
        """Start reading. Raises DataError like the dataset, now or while reading."""
        wanted = InputFormat(shape=self._shape, classes=self._classes, preprocessing=self._look)
        batches = self._dataset.batches(self._calibration.batch_size, wanted, self._calibration.images)
        return Reader(batches, self.count - self.held_back, self.held_back, self._shape, labelled=self._fits)


class Reader:
    """One way through the images: first the rest, then the held-back slice, each once."""

    def __init__(
        self,
        batches: Iterable[Batch],
        rest: int,
        held_back: int,
        shape: tuple[int, int, int],
        *,
        labelled: bool,
    ) -> None:
        self._images = itertools.islice(_one_by_one(batches), rest + held_back)
        self._rest = rest  # of these, how many are still to be read
        self._held_back = held_back
        self._shape = shape
        self._labelled = labelled

    def rest(self) -> Iterator[FloatArray]:
        """Pieces (at most PIECE, C, H, W) of all images but the held-back ones."""
        while piece := list(itertools.islice(self._images, min(PIECE, self._rest))):
            self._rest -= len(piece)
            yield np.stack([image for image, _ in piece])

    def held_back(self) -> Slice:
        """The held-back images, together in memory; those of the rest not read yet are read and dropped."""
        for _ in self.rest():
            pass
        images = np.empty((self._held_back, *self._shape), np.float32)
        labels = []
        for position, (image, label) in enumerate(self._images):
            images[position] = image
            labels.append(label)
        known = [label for label in labels if label is not None and self._labelled]
        complete = labels and len(known) == len(labels)
        return Slice(images[: len(labels)], np.array(known, np.int64) if complete else None)


def _one_by_one(batches: Iterable[Batch]) -> Iterator[tuple[FloatArray, int | None]]:
    for batch in batches:
        for position, image in enumerate(batch.images):
            yield image, None if batch.labels is None else int(batch.labels[position])
