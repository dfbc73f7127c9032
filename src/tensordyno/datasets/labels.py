"""Whether labels fit a network's classes."""

import numpy as np

from tensordyno.datasets.base import LabelArray
from tensordyno.errors import DataError


def check_labels(name: str, labels: LabelArray, class_names: tuple[str, ...] | None, classes: int) -> None:
    """Raise DataError when labels, shape (n,), cannot be those of a network with `classes` classes.

    Where the data name their classes, there must be exactly as many; else no label may be too large.
    """
    remedy = "Give a network and data with the same classes, or --data synthetic for speed alone."
    if class_names is not None and len(class_names) != classes:
        text = f"{name} has {len(class_names)} classes, but the network tells {classes} apart."
        raise DataError("labels-mismatch", text, remedy)
    if labels.size and int(labels.min()) < 0:
        text = f"{name} holds the label {int(labels.min())}; labels count from 0."
        raise DataError("labels-mismatch", text, remedy)
    if labels.size and int(labels.max()) >= classes:
        text = f"{name} has labels up to {int(labels.max())}, but the network tells {classes} classes apart"
        raise DataError("labels-mismatch", f"{text} (0 to {classes - 1}).", remedy)


def as_labels(name: str, values: object) -> LabelArray:
    """Labels as int64, shape (n,).

    Raises DataError for labels that are not whole numbers in one column.
    """
    found = np.asarray(values)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        text = f"{name}: labels of shape {found.shape} and type {found.dtype}; wanted: (n,) whole numbers."
        raise DataError("bad-arrays", text, "Store class indices counted from 0.")
    return found.astype(np.int64)
