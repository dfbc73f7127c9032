"""The threshold with the least mean squared error between the values and their INT8 images."""

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.base import LEVELS
from tensordyno.quantize.histogram import Histogram

SUMMARY = "least mean squared error of rounding and clipping together"
PARAMETER = None

_PER_OCTAVE = 128  # candidates lie 0.5 % apart
_OCTAVES = 8  # from the largest value down to 1/256 of it, below which a bin is wider than a step


def threshold(histogram: Histogram, parameter: float | None) -> float:
    """The best of 1025 thresholds in equal ratios; the widest of those that are equally good."""
    tried = candidates(histogram.largest)
    return float(tried[np.argmin(squared_errors(histogram, tried))])


def candidates(largest: float) -> NDArray[np.float64]:
    """Thresholds from `largest` down, each 2**(-1/128) of the one before."""
    return largest * np.exp2(-np.arange(_OCTAVES * _PER_OCTAVE + 1) / _PER_OCTAVE)


def squared_errors(histogram: Histogram, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over all values of (x - image of x)**2 for each threshold, up to a constant factor.

    Every value counts as the middle of its bin, the first bin as 0: it holds the zeros of ReLU, which INT8
    has exactly. All values that go to the image k * step are one sum: with their number n, sum s and
    sum of squares q it is q - 2 * k * step * s + (k * step)**2 * n. Running totals of n, s and q give
    these in 128 look-ups a threshold, whatever the number of bins.
    """
    counts = histogram.counts[: histogram.used].astype(np.float64)
    middles = np.arange(counts.size) + 0.5  # in units of the bin width
    middles[0] = 0.0
    number, first = _running(counts), _running(counts * middles)
    steps = thresholds / (LEVELS * histogram.width)
    level = np.arange(1, LEVELS + 1)
    begin = np.ceil(np.multiply.outer(steps, level - 0.5) - 0.5).astype(np.intp).clip(1, counts.size)
    end = np.concatenate([begin[:, 1:], np.full((len(steps), 1), counts.size)], axis=1)
    image = np.multiply.outer(steps, level)
    gain = image * (2 * (first[end] - first[begin]) - image * (number[end] - number[begin]))
    return np.asarray((counts * middles) @ middles - gain.sum(axis=1))


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
