"""The contract of a dataset: facts, and batches preprocessed for one network."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensordyno.catalogue import Catalogue
from tensordyno.records.model import Preprocessing

_SHARED_CODE = frozenset(
    {"folder_index", "in_memory", "labels", "pixels", "preprocess", "requests", "selection"}
)
DATASETS = Catalogue("datasets", "dataset", besides=_SHARED_CODE)

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
    count: int | None = None  # images there are, readable or not; None: they have no end

    @abstractmethod
    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """At most `limit` images in a fixed order; the last batch may be smaller.

        Raises DataError for an unreadable image (its name in the sentence) unless the dataset was
        opened to skip those, and for labels that do not fit `wanted.classes`.
        """

    @abstractmethod
    def content_hash(self, limit: int | None = None) -> str:
        """SHA-256 (16 hex digits) over the first `limit` images and labels as they are stored; None: all.

        Preprocessing is no part of it.
        """

    @abstractmethod
    def fingerprints(self, limit: int | None = None) -> Iterator[str]:
        """One SHA-256 (16 hex digits) an image as it is stored, label and place left out, for the first
        `limit` images: two datasets share an image when they share a fingerprint.
        """

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
    hold_out: bool = False  # where it has one only: a random fifth of it is for calibration
    shuffle: int = 0  # seed of the order in which images come; 0: stored order


def member_of(name: str) -> str:
    """The catalogue member that opens a dataset of this name; possibly one that does not exist.

    A member's own name wins over a folder of that name: `./fashion` reaches the folder.
    """
    path = Path(name).expanduser()
    if name in DATASETS.names():
        return name
    if path.suffix == ".npz":
        return "arrays"
    return "image-folder" if path.is_dir() or "/" in name else name


def open_dataset(request: DataRequest) -> Dataset:
    """The dataset a name means: a catalogue member, a folder of images, or an `.npz` file.

    Raises UnknownName or DataError. Each member module defines `open_member(request)`; one that
    reads the file or folder of that name says so with the literal `READS_PATH = True`.
    """
    dataset: Dataset = DATASETS.module(member_of(request.name)).open_member(request)
    return dataset
