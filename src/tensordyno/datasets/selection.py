"""Which images of a dataset a request means, and in which order they come."""

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import DataError

if TYPE_CHECKING:
    from tensordyno.datasets.base import DataRequest

IndexArray = NDArray[np.int64]

HELD_OUT = 5  # one image in so many is kept for calibration
_HOLD_OUT_SEED = 20180831  # one for all: calibration and test parts must always be each other's rest


def select(
    count: int, request: "DataRequest", *, has_both: bool, looks: Callable[[], Sequence[Hashable]]
) -> IndexArray:
    """Positions, out of `count` in stored order, of the images that a request means.

    A dataset that does not have both splits (`has_both`) gives up a random fifth of its images for
    calibration when the request asks to hold out; the rest is its test split. Equal images go the same
    way: `looks`, asked only then, says for each image something that is equal where images are. Then the
    order: as stored, or a permutation by the request's own seed, so that any number of first images is a
    random subset without replacement. Raises DataError (`too-few-to-hold-out`).
    """
    positions = np.arange(count)
    if request.hold_out and not has_both:
        positions = positions[_held_out(looks(), request.name) == (request.split == "calibration")]
    if request.shuffle:
        positions = np.random.default_rng(request.shuffle).permutation(positions)
    return positions


def _held_out(looks: Sequence[Hashable], name: str) -> NDArray[np.bool_]:
    different = {look: number for number, look in enumerate(dict.fromkeys(looks))}
    if len(different) < 2:
        raise DataError(
            "too-few-to-hold-out",
            f"{name} holds no two different images: one to calibrate on, one to test.",
            "Give more images, or others to calibrate on: --calibration-data DIR",
        )
    held = np.zeros(len(different), dtype=np.bool_)
    order = np.random.default_rng(_HOLD_OUT_SEED).permutation(len(different))
    held[order[: max(1, len(different) // HELD_OUT)]] = True
    return held[[different[look] for look in looks]]
