"""Which images a folder holds, in which order, with which labels."""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tensordyno.datasets.base import LabelArray
from tensordyno.datasets.pixels import SUFFIXES
from tensordyno.datasets.selection import IndexArray
from tensordyno.errors import DataError

LABELS_FILE = "labels.csv"
_FILE_COLUMNS = ("file", "filename", "image", "path")
_LABEL_COLUMNS = ("label", "class", "class_index", "class_name", "index")

_INDEX = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class FolderIndex:
    """Image files in reading order; `labels` (n,) where known; `class_names` where classes have names."""

    root: Path
    files: tuple[Path, ...]
    labels: LabelArray | None = None
    class_names: tuple[str, ...] | None = None

    def shown(self, path: Path) -> str:
        """A file's name as a reader sees it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def take(self, positions: IndexArray) -> "FolderIndex":
        """The images at these positions, in that order; the classes stay as they are."""
        files = tuple(self.files[position] for position in positions)
        return replace(self, files=files, labels=None if self.labels is None else self.labels[positions])


def read_index(root: Path) -> FolderIndex:
    """The images of a folder, from its `labels.csv`, else its class folders, else the files in it.

    Raises DataError: empty-data, bad-labels-file, unreadable-folder, and mixed-data for images beside
    class folders.
    """
    try:
        return _not_empty(_from_csv(root) if (root / LABELS_FILE).is_file() else _from_files(root))
    except OSError as wrong:
        reason = wrong.strerror or "it cannot be read"
        raise DataError("unreadable-folder", f"{wrong.filename or root}: {reason}.") from wrong


def _not_empty(index: FolderIndex) -> FolderIndex:
    if not index.files:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise DataError("empty-data", f"{index.root} holds no images.", f"Known kinds: {kinds}.")
    return index


def _from_files(root: Path) -> FolderIndex:
    loose = _images(root.iterdir())
    folders = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
    classes = {folder.name: _images(folder.rglob("*")) for folder in folders}
    if not any(classes.values()):
        return FolderIndex(root, tuple(loose))
    if loose:
        text = f"{root} holds {len(loose)} images beside its class folders, {loose[0].name} for one."
        raise DataError("mixed-data", text, f"Move them into a class folder, or write a {LABELS_FILE}.")
    return _from_classes(root, classes)


def _images(paths: Iterable[Path]) -> list[Path]:
    found = (p for p in paths if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in found if not p.name.startswith("."))


def _from_classes(root: Path, classes: dict[str, list[Path]]) -> FolderIndex:
    """Class folders in alphabetical order, or with the class index as their name.

    One image of each class in turn: so any limit takes about as many of each.
    """
    by_index = all(map(_INDEX.fullmatch, classes))
    numbers = [int(name) if by_index else i for i, name in enumerate(classes)]
    columns = [[(path, n) for path in paths] for n, paths in zip(numbers, classes.values(), strict=True)]
    pairs = [pair for row in itertools.zip_longest(*columns) for pair in row if pair is not None]
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    return FolderIndex(root, tuple(path for path, _ in pairs), labels, None if by_index else tuple(classes))


def _from_csv(root: Path) -> FolderIndex:
    """Files in the order of the table; labels are class indices, or names numbered alphabetically."""
    try:
        with (root / LABELS_FILE).open(encoding="utf-8-sig", newline="") as stream:
            rows = dict(_rows(root / LABELS_FILE, csv.reader(stream, strict=True)))
    except (csv.Error, UnicodeDecodeError) as wrong:
        raise _bad(f"{root / LABELS_FILE}: {wrong}.") from wrong
    files = tuple(root / name for name in rows)
    if all(map(_INDEX.fullmatch, rows.values())):
        return FolderIndex(root, files, np.array([int(label) for label in rows.values()], dtype=np.int64))
    numbers = {name: number for number, name in enumerate(sorted(set(rows.values())))}
    labels = np.array([numbers[label] for label in rows.values()], dtype=np.int64)
    return FolderIndex(root, files, labels, tuple(numbers))


def _rows(path: Path, table: Iterator[list[str]]) -> Iterator[tuple[str, str]]:
    """(file, label) of each row below the header."""
    header = [column.strip().lower() for column in next(table, [])]
    file_column = next((i for i, c in enumerate(header) if c in _FILE_COLUMNS), None)
    label_column = next((i for i, c in enumerate(header) if c in _LABEL_COLUMNS), None)
    if file_column is None or label_column is None:
        raise _bad(f"{path}:1: the header is '{','.join(header)}'.")
    seen: set[str] = set()
    for line, row in enumerate(table, start=2):
        if not row:
            continue
        if len(row) != len(header) or not row[file_column].strip() or not row[label_column].strip():
            raise _bad(f"{path}:{line}: found {len(row)} fields; wanted: {','.join(header)}, none empty.")
        name = row[file_column].strip()
        if name in seen:
            raise _bad(f"{path}:{line}: {name} is listed twice.")
        seen.add(name)
        yield name, row[label_column].strip()


def _bad(text: str) -> DataError:
    return DataError("bad-labels-file", text, "Write a header 'file,label', then a line for each image.")
