"""The contract of a dataset: facts, and batches preprocessed for one network."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensordyno.catalogue import Catalogue
from tensordyno.records.model import Preprocessing

DATASETS = Catalogue("datasets", "dataset", besides=frozenset({"preprocess"}))

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class InputFormat:
    """What a network wants to see: (channels, height, width), number of classes, preprocessing."""

    shape: tuple[int, int, int]
    classes: int
    preprocessing: Preprocessing


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images ready for a network: float32 (n, channels, height, width), and labels (n,) or None."""

    images: FloatArray
    labels: LabelArray | None


class Dataset(ABC):
    """Images, labelled or not. Construction checks the data (DataError); reading is lazy."""

    name: str  # shown in reports
    labelled: bool = False
    class_names: tuple[str, ...] | None = None

    @abstractmethod
    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """At most `limit` images in a fixed order; the last batch may be smaller.

        Raises DataError for an unreadable image (its name in the sentence) unless the dataset was
        opened to skip those, and for labels that do not fit `wanted.classes`.
        """

    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 (16 hex digits) over the images and labels it would deliver."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of images skipped so far."""
        return ()


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Which dataset, and how to open it."""

    name: str  # a member of the catalogue, a folder, or an .npz file
    seed: int = 0
    skip_unreadable: bool = False
    split: str = "test"  # "test" or "calibration" where a dataset has both


def open_dataset(request: DataRequest) -> Dataset:
    """The dataset a name means: a catalogue member, a folder of images, or an `.npz` file.

    Raises UnknownName or DataError. Each member module defines `open_member(request)`.
    """
    path = Path(request.name)
    if request.name in DATASETS.names():
        member = request.name
    elif path.suffix == ".npz":
        member = "arrays"
    elif path.is_dir() or "/" in request.name:
        member = "image-folder"
    else:
        member = request.name
    dataset: Dataset = DATASETS.module(member).open_member(request)
    return dataset
