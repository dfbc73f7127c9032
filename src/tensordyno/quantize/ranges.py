"""From histograms to the range of every tensor that gets Q/DQ."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce

import numpy as np

from tensordyno.quantize.base import LEVELS, Placement
from tensordyno.quantize.histogram import Histogram
from tensordyno.records.calibration import TensorRange

Threshold = Callable[[Histogram], float]

_LEAST = LEVELS * float(np.finfo(np.float32).tiny)  # below it the step would not be a normal number
_OF_ZEROS = 1.0  # any step shows a zero exactly; this one is also of use for ordinary numbers that come later


def ranges_of(
    placement: Placement, histograms: Mapping[str, Histogram], threshold: Threshold
) -> dict[str, TensorRange]:
    """The range of every tensor of the placement; the members of a group share one threshold.

    It is that of all their values together, each counted once. A group that was zero on every image gets
    1.0.
    """
    found = {}
    for group in placement.groups:
        own_values = [histograms[name] for name in group if name not in placement.repeats]
        together = reduce(Histogram.merge, own_values)
        shared = threshold(together) if together.largest > _LEAST else _OF_ZEROS
        for name in group:
            seen = histograms[name]
            found[name] = TensorRange(threshold=max(shared, _LEAST), low=seen.low, high=seen.high)
    return found


def zero_tensors(names: Iterable[str], histograms: Mapping[str, Histogram]) -> tuple[str, ...]:
    """Those that never held anything but 0."""
    return tuple(name for name in names if histograms[name].largest <= _LEAST)


def merged(one: Mapping[str, Histogram], other: Mapping[str, Histogram]) -> dict[str, Histogram]:
    """The histograms of two parts of the images as if they had been one."""
    return {name: histogram.merge(other[name]) for name, histogram in one.items()}
