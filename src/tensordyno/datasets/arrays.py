"""Images from an .npz file: uint8 0..255 or float 0..1, with labels beside them or none."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensordyno.datasets.base import DataRequest, Dataset, FloatArray
from tensordyno.datasets.in_memory import InMemory, looks_of
from tensordyno.datasets.labels import as_labels
from tensordyno.datasets.preprocess import UInt8Array
from tensordyno.datasets.selection import select
from tensordyno.errors import DataError

READS_PATH = True

_IMAGES = {"test": ("x", "images", "x_test", "data"), "calibration": ("x_calib", "x_calibration", "x_train")}
_LABELS = {"test": ("y", "labels", "y_test"), "calibration": ("y_calib", "y_calibration", "y_train")}
_REMEDY = "Store images as 'x' and labels as 'y': np.savez(FILE, x=images, y=labels)"


def open_member(request: DataRequest) -> Dataset:
    """The images of `request.name`.

    Images are (n, h, w), (n, h, w, c) or (n, c, h, w) with c of 1, 3 or 4 (alpha is dropped); labels
    are (n,) whole numbers. The calibration split reads x_calib, x_calibration or x_train where there
    are any; a file has both splits when it holds images for each. Raises DataError: missing-data,
    bad-arrays, empty-data, too-few-to-hold-out.
    """
    path = Path(request.name).expanduser()
    arrays = _read(path)
    there = {split for split, names in _IMAGES.items() if _first(arrays, names)}
    split = request.split if request.split in there else "test"
    images, labels = _first(arrays, _IMAGES[split]), _first(arrays, _LABELS[split])
    if images is None:
        keys = ", ".join(arrays) or "nothing"
        raise DataError("bad-arrays", f"{path} holds {keys}, but no images.", _REMEDY)
    pixels = _pixels(arrays[images], f"{path}: {images}")
    positions = select(len(pixels), request, has_both="calibration" in there, looks=lambda: looks_of(pixels))
    if labels is None:
        return InMemory(path.name, pixels, None, positions=positions)
    found = as_labels(f"{path}: {labels}", arrays[labels])
    if len(found) != len(pixels):
        raise DataError("bad-arrays", f"{path} holds {len(pixels)} images and {len(found)} labels.", _REMEDY)
    return InMemory(path.name, pixels, found, positions=positions)


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not path.exists():
        raise DataError("missing-data", f"There is no file {path}.", "Give an .npz file.")
    try:
        with path.open("rb") as stream:
            stored = np.load(stream, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("this is one array, not an archive of arrays")
            return {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as wrong:
        reason = " ".join(str(wrong).split())
        raise DataError("bad-arrays", f"{path} cannot be read as .npz: {reason}.", _REMEDY) from wrong


def _first(arrays: Iterable[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in arrays), None)


def _pixels(images: NDArray[np.generic], where: str) -> UInt8Array | FloatArray:
    """Checked images as (n, h, w, c), uint8 or float32."""
    shaped = _channels_last(images)
    if shaped is None:
        text = f"{where} has shape {images.shape}; wanted: (n, h, w), (n, h, w, c) or (n, c, h, w)."
        raise DataError("bad-arrays", text, _REMEDY)
    if shaped.size == 0:
        raise DataError("empty-data", f"{where} holds no images (shape {images.shape}).", _REMEDY)
    if shaped.dtype == np.uint8:
        return shaped.astype(np.uint8, copy=False)
    if not np.issubdtype(shaped.dtype, np.floating):
        raise DataError("bad-arrays", f"{where} has type {shaped.dtype}; wanted: uint8 or float.", _REMEDY)
    pixels = shaped.astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # NaN included
        text = f"{where} holds floats from {low:g} to {high:g}; wanted: 0 to 1, not yet normalised."
        raise DataError("bad-arrays", text, "Store uint8 pixels, or divide by 255.")
    return pixels


def _channels_last(images: NDArray[np.generic]) -> NDArray[np.generic] | None:
    if images.ndim == 3:
        return images[..., np.newaxis]
    if images.ndim != 4:
        return None
    if images.shape[3] in (1, 3, 4):
        return images[..., :3]
    return np.moveaxis(images, 1, 3)[..., :3] if images.shape[1] in (1, 3, 4) else None
