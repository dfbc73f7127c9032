"""Latency percentiles with distribution-free intervals, refused when there are too few samples.

The interval lies between two order statistics: the number of samples below the true percentile is
binomial whatever the distribution (David & Nagaraja, Order Statistics, 3rd edition, section 7.1). It
takes samples as independent; batches that follow each other are not quite, so it is a lower bound of
the doubt.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tensordyno.timing.intervals import CONFIDENCE, Interval

FloatArray = NDArray[np.float64]
CLAIM_CONFIDENCE = 0.99  # that at least one sample lies beyond a percentile that is stated


@lru_cache(maxsize=1024)
def fewest_samples(percentile: float, confidence: float = CLAIM_CONFIDENCE, spare: int = 0) -> int:
    """How many samples are needed before a percentile may be stated.

    The smallest n for which, with `confidence`, more than `spare` samples lie beyond the percentile
    (above it from the median up, below it under the median). With none to spare 1 - p^n >= confidence:
    459 for p99, 44 for p90, 7 for p50. One to spare is MLPerf LoadGen's early-stopping rule: 662 and 64.
    Raises ValueError outside 0 < percentile < 100 and 0 < confidence < 1.
    """
    if not 0 < percentile < 100 or not 0 < confidence < 1 or spare < 0:
        raise ValueError(f"no sample rule for percentile {percentile} at confidence {confidence}")
    beyond = min(percentile, 100 - percentile) / 100
    low, high = spare, spare + 1
    while _at_most(spare, high, beyond) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most(spare, middle, beyond) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def percentiles(
    latencies_s: FloatArray, wanted: Sequence[float] = (50, 90, 99)
) -> tuple[Interval | None, ...]:
    """Percentiles with their 95 % intervals, in the samples' unit; None where there are too few samples.

    `latencies_s` has shape (n,), in any order. The value is the order statistic of rank
    ceil(n * percentile / 100), an observed latency, never an interpolation (Hyndman & Fan 1996,
    definition 1).
    """
    ordered = np.sort(np.asarray(latencies_s, dtype=float))
    return tuple(_percentile(ordered, percentile) for percentile in wanted)


def _percentile(ordered: FloatArray, percentile: float) -> Interval | None:
    n = len(ordered)
    if n < fewest_samples(percentile):
        return None
    low, high = interval_ranks(n, percentile)
    # 1e-9: 0.29 * 100 is 28.999999999999996 in binary, and 0.07 * 100 is 7.000000000000001
    rank = max(1, math.ceil(n * percentile / 100 - 1e-9))
    value, least, most = ordered[[rank - 1, low - 1, high - 1]]
    return Interval(value=float(value), low=float(least), high=float(most))


@lru_cache(maxsize=65536)
def interval_ranks(n: int, percentile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Ranks (l, u), counted from 1, of the order statistics that enclose a percentile of n samples.

    Each side fails with at most half of 1 - confidence: P(Bin(n, p) <= l - 1) and P(Bin(n, p) >= u).
    Raises ValueError when n samples cannot enclose it.
    """
    first, cumulative = _binomial_cumulative(n, percentile / 100)
    tail = (1 - confidence) / 2
    low = first + int(np.searchsorted(cumulative, tail, side="right"))
    high = first + int(np.searchsorted(cumulative, 1 - tail, side="left")) + 1
    if low < 1 or high > n:
        raise ValueError(f"{n} samples do not enclose percentile {percentile} at {confidence}")
    return low, high


def _binomial_cumulative(n: int, p: float) -> tuple[int, FloatArray]:
    """P(Bin(n, p) <= k) for k = first, first + 1, ...: nine standard deviations around the mean.

    The ratio of neighbouring probabilities is (n - k + 1) p / (k (1 - p)), summed as logarithms.
    """
    reach = int(9 * math.sqrt(n * p * (1 - p))) + 40
    first, last = max(0, int(n * p) - reach), min(n, int(n * p) + reach)
    k = np.arange(first + 1, last + 1)
    logs = np.concatenate(([0.0], np.cumsum(np.log((n - k + 1) / k) + math.log(p / (1 - p)))))
    mass = np.exp(logs - logs.max())
    return first, np.cumsum(mass / mass.sum())


def _at_most(count: int, n: int, p: float) -> float:
    """P(Bin(n, p) <= count), summed term by term."""
    if count >= n:
        return 1.0
    logs = (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(count + 1))
    terms = (log + k * math.log(p) + (n - k) * math.log1p(-p) for k, log in enumerate(logs))
    return math.fsum(math.exp(term) for term in terms)
