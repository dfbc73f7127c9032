"""Images from a folder: a sub-folder for each class, or a `labels.csv`, or no labels at all."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tensordyno.datasets.base import Batch, DataRequest, Dataset, InputFormat
from tensordyno.datasets.folder_index import FolderIndex, read_index
from tensordyno.datasets.labels import check_labels
from tensordyno.datasets.pixels import Unreadable, read_picture
from tensordyno.datasets.preprocess import check_format, input_of_image
from tensordyno.datasets.selection import select
from tensordyno.errors import DataError

READS_PATH = True
_CHUNK_BYTES = 2**20
_BEGINNING_BYTES = 2**14  # further than headers and thumbnails reach


class ImageFolder(Dataset):
    """Reads image files one batch at a time; only their list is held in memory."""

    def __init__(self, name: str, index: FolderIndex, *, skip_unreadable: bool) -> None:
        self.name = name
        self.labelled = index.labels is not None
        self.class_names = index.class_names
        self.count = len(index.files)
        self._index = index
        self._skip_unreadable = skip_unreadable
        self._unreadable: dict[str, None] = {}

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of images skipped so far, relative to the folder."""
        return tuple(self._unreadable)

    def batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        """At most `limit` readable images in the index's order.

        Raises DataError: labels-mismatch and preprocessing-mismatch at once; while reading,
        unreadable-image, or empty-data when every image was skipped.
        """
        check_format(wanted)
        if self._index.labels is not None:
            check_labels(self.name, self._index.labels, self.class_names, wanted.classes)
        return self._batches(batch_size, wanted, limit)

    def content_hash(self, limit: int | None = None) -> str:
        """SHA-256 over the bytes and labels of the first `limit` files, readable as images or not."""
        digest = hashlib.sha256()
        for position, path in enumerate(self._index.files[:limit]):
            label = "" if self._index.labels is None else self._index.labels[position]
            digest.update(f"{label}\0{_file_hash(path)}\0".encode())
        return digest.hexdigest()[:16]

    def fingerprints(self, limit: int | None = None) -> Iterator[str]:
        """SHA-256 over the bytes of each of the first `limit` files; a file that is not there has none.

        Where unreadable images are skipped they have no fingerprint either, and those after them count.
        """
        files = self._index.files
        read = (files[i] for i, _ in self._readable()) if self._skip_unreadable else iter(files)
        for path in itertools.islice(read, limit):
            if digest := _file_hash(path):
                yield digest[:16]

    def _batches(self, batch_size: int, wanted: InputFormat, limit: int) -> Iterator[Batch]:
        readable = itertools.islice(self._readable(), limit)
        delivered = 0
        while members := list(itertools.islice(readable, batch_size)):
            images = np.stack([input_of_image(picture, wanted) for _, picture in members])
            labels = self._index.labels
            positions = [position for position, _ in members]
            yield Batch(images=images, labels=None if labels is None else labels[positions])
            delivered += len(members)
        if not delivered and limit:
            text = f"None of the {len(self._index.files)} images of {self.name} can be read."
            raise DataError("empty-data", text)

    def _readable(self) -> Iterator[tuple[int, Image.Image]]:
        """Position in the index and picture of every image that can be read."""
        for position, path in enumerate(self._index.files):
            try:
                picture = read_picture(path)
            except Unreadable as wrong:
                self._skip(path, wrong)
            else:
                yield position, picture

    def _skip(self, path: Path, wrong: Unreadable) -> None:
        if not self._skip_unreadable:
            text = f"{path} cannot be read as an image: {wrong}."
            remedy = "Remove or replace it, or leave such images out: --skip-unreadable"
            raise DataError("unreadable-image", text, remedy) from wrong
        self._unreadable[self._index.shown(path)] = None


def open_member(request: DataRequest) -> Dataset:
    """The images of the folder `request.name`.

    A folder with the sub-folders `test` and `calibration` has both splits; any other folder serves
    as either, or is divided between them when the request asks to hold out. In stored order classes come
    in turn. Raises DataError: missing-data, empty-data, mixed-data, bad-labels-file, too-few-to-hold-out.
    """
    root = Path(request.name).expanduser()
    if not root.is_dir():
        remedy = "Give a folder of images or an .npz file."
        raise DataError("missing-data", f"There is no folder {root}.", remedy)
    splits = {split: root / split for split in ("test", "calibration")}
    has_both = all(folder.is_dir() for folder in splits.values())
    index = read_index(splits[request.split] if has_both else root)
    positions = select(len(index.files), request, has_both=has_both, looks=lambda: _looks(index.files))
    return ImageFolder(str(index.root), index.take(positions), skip_unreadable=request.skip_unreadable)


def _looks(files: tuple[Path, ...]) -> list[tuple[int, bytes]]:
    """Size of each file, and its beginning where another one has the same size: equal where files are."""
    sizes = [path.stat().st_size if path.is_file() else 0 for path in files]
    times = Counter(sizes)
    return [(s, _beginning(path) if times[s] > 1 else b"") for path, s in zip(files, sizes, strict=True)]


def _beginning(path: Path) -> bytes:
    """SHA-256 of a file's first bytes, or of its name when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.sha256(stream.read(_BEGINNING_BYTES)).digest()
    except OSError:
        return hashlib.sha256(str(path).encode()).digest()


def _file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces; empty for one that is not there."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()
