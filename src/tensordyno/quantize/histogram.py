"""A streaming histogram of the absolute values of one tensor, in bounded memory, the same in any order."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensordyno.errors import DataError

BINS = 2**15  # 256 KiB a tensor; at least half of them are in use, so 128 or more fall on one INT8 step
_LOG2_BINS = 15
_SMALLEST_EXPONENT = -148  # 2**-149, the smallest float32 above 0, lies below 2**-148
_CHUNK = 2**17  # values binned at a time, so that the temporary arrays stay in the processor's cache
_LARGEST_FACTOR = 127  # 2**127 is the largest power of two in float32


class Histogram:
    """Counts of |x| in `BINS` equal bins from 0; bin i holds i * width <= |x| < (i + 1) * width.

    `width` is the smallest power of two with which the largest value fits. When a larger value comes,
    neighbouring bins are merged until it does. Dividing by a power of two is exact in float32 and
    floor(floor(x) / 2) = floor(x / 2), so counts and width depend on the values alone, to the last bit:
    neither on their order, nor on how they came in batches, nor on which histograms were merged.

    `low` and `high` are the exact extremes; of an empty histogram they are inf and -inf.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.low = math.inf
        self.high = -math.inf
        self._exponent = _SMALLEST_EXPONENT  # BINS * width = 2**exponent

    @property
    def width(self) -> float:
        """Width of a bin, a power of two."""
        return math.ldexp(1.0, self._exponent - _LOG2_BINS)

    @property
    def largest(self) -> float:
        """The exact largest absolute value; 0.0 when there was none but 0."""
        return max(-self.low, self.high, 0.0)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def used(self) -> int:
        """How many bins there are up to and including that of the largest value."""
        return int(self.largest / self.width) + 1

    def add(self, values: ArrayLike, name: str = "") -> None:
        """Count an array of any shape, taken as float32. `name` is that of the tensor, for messages.

        Raises DataError (`bad-range`) for NaN or infinite values; the histogram is then as it was.
        """
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
            flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        if not flat.size:
            return
        self.cover(float(flat.min()), float(flat.max()), name)
        for start in range(0, flat.size, _CHUNK):
            counted = np.bincount(self._bin_of(flat[start : start + _CHUNK]))
            self.counts[: counted.size] += counted

    def cover(self, low: float, high: float, name: str = "") -> None:
        """Take in the extremes (low <= high) of values that are not counted themselves.

        For tensors of which a sample is counted, but every value is looked at. Raises like `add`.
        """
        if not (math.isfinite(low) and math.isfinite(high)):
            of = f" of {name}" if name else ""
            raise DataError(
                "bad-range",
                f"The values{of} run from {low:g} to {high:g}: no INT8 range covers that.",
                "Check the network's weights and the calibration images.",
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(math.frexp(self.largest)[1] if self.largest else _SMALLEST_EXPONENT)

    def merge(self, other: "Histogram") -> "Histogram":
        """The histogram of all values of both, which stay as they are."""
        merged = Histogram.from_arrays(self.to_arrays())
        merged.low, merged.high = min(self.low, other.low), max(self.high, other.high)
        merged._widen(other._exponent)
        merged.counts += _paired(other.counts, merged._exponent - other._exponent)
        return merged

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything needed to make it again, for an `.npz` file: `counts` and `extremes`."""
        return {"counts": self.counts.copy(), "extremes": np.array([self.low, self.high])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Histogram":
        """The histogram that gave these arrays.

        Raises KeyError or ValueError for arrays that no histogram gives.
        """
        counts, extremes = np.asarray(arrays["counts"]), np.asarray(arrays["extremes"], np.float64)
        whole = counts.shape == (BINS,) and counts.dtype.kind in "iu" and counts.min() >= 0
        if not whole or extremes.shape != (2,):
            raise ValueError("these arrays are no histogram")
        made = cls()
        if extremes[0] <= extremes[1]:  # not empty
            made.cover(float(extremes[0]), float(extremes[1]))
        if counts[made.used :].any():
            raise ValueError("these counts lie outside their extremes")
        made.counts += counts.astype(np.int64)
        return made

    def _bin_of(self, values: NDArray[np.float32]) -> NDArray[np.intp]:
        scale = _LOG2_BINS - self._exponent
        size = np.abs(values)
        if scale > _LARGEST_FACTOR:  # subnormal numbers only
            return np.ldexp(size.astype(np.float64), scale).astype(np.intp)
        size *= np.float32(math.ldexp(1.0, scale))
        return size.astype(np.intp)

    def _widen(self, exponent: int) -> None:
        if exponent > self._exponent:
            self.counts = _paired(self.counts, exponent - self._exponent)
            self._exponent = exponent


def _paired(counts: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    """The counts after neighbouring bins were merged in pairs so many times."""
    together = 2 ** min(times, _LOG2_BINS)
    merged = np.zeros(BINS, np.int64)
    merged[: BINS // together] = counts.reshape(-1, together).sum(axis=1)
    return merged
