"""The ratio of two throughputs with its interval, paired by round where bursts were interleaved.

Both ways work on logarithms of burst throughputs, so that a over b is exactly the inverse of b over a
and the interval can never reach zero (delta method for a ratio on the log scale).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.timing.intervals import CONFIDENCE, FEWEST_BURSTS, Interval
from tensordyno.timing.student import t_quantile

FloatArray = NDArray[np.float64]


class Ratio(Record, frozen=True, kw_only=True):
    """One throughput over another, and how it was had: `paired` by round, or `unpaired`."""

    interval: Interval
    method: str
    rounds: int  # pairs; or the smaller number of bursts


def throughput_ratio(
    over: Sequence[Burst], under: Sequence[Burst], *, one_clock: bool = True
) -> Ratio | None:
    """Throughput of `over` relative to `under` from all their bursts; None with fewer than 3 kept ones.

    Interleaved bursts are paired by round: slow changes of the machine act on both bursts of a round
    and cancel in their ratio. When fewer than 3 rounds, or fewer than half, kept both bursts, or when
    the two sides were timed on different clocks (`one_clock` false), the means of the kept bursts are
    compared with Welch's interval. The value is the ratio of geometric means over bursts.
    """
    first, second = ([b for b in side if is_kept(b)] for side in (over, under))
    fewer = min(len(first), len(second))
    pairs = _rounds(over, under) if one_clock else []
    if len(pairs) >= fewer / 2:
        interval = paired_ratio([_log_rate(a) - _log_rate(b) for a, b in pairs])
        if interval:
            return Ratio(interval=interval, method="paired", rounds=len(pairs))
    if fewer < FEWEST_BURSTS:
        return None
    logs = [np.array([_log_rate(b) for b in side]) for side in (first, second)]
    error, degrees = _welch(*logs)
    interval = _from_logs(float(logs[0].mean() - logs[1].mean()), error, degrees)
    return Ratio(interval=interval, method="unpaired", rounds=fewer)


def is_kept(burst: Burst) -> bool:
    """Whether a burst counts: uncontended, with at least one batch."""
    return not burst.contended and burst.batches > 0


def paired_ratio(log_ratios: Sequence[float]) -> Interval | None:
    """The geometric mean of paired ratios with its 95 % interval, from their natural logarithms.

    Student's t on the logarithms; None with fewer than 3 pairs.
    """
    if len(log_ratios) < FEWEST_BURSTS:
        return None
    logs = np.array(log_ratios)
    error = math.sqrt(float(logs.var(ddof=1)) / len(logs))
    return _from_logs(float(logs.mean()), error, len(logs) - 1)


def _rounds(first: Sequence[Burst], second: Sequence[Burst]) -> list[tuple[Burst, Burst]]:
    """The kept pairs of two trials that took one burst each a round; empty when they did not.

    They did if no burst began before both bursts of the round before it had. Contended bursts take
    part in the rounds, so that losing one does not shift the pairs after it.
    """
    rounds = list(zip(first, second, strict=False))
    for (a, b), (next_a, next_b) in pairwise(rounds):
        if max(a.start_s, b.start_s) >= min(next_a.start_s, next_b.start_s):
            return []
    return [(a, b) for a, b in rounds if is_kept(a) and is_kept(b)]


def _log_rate(burst: Burst) -> float:
    return math.log(burst.images / burst.duration_s)


def _welch(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Standard error of the difference of two means, and its degrees of freedom (Welch 1947).

    The degrees are rounded down, which widens the interval a little.
    """
    a, b = first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)
    if a + b == 0:
        return 0.0, float(min(len(first), len(second)) - 1)
    degrees = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return math.sqrt(a + b), float(max(1, math.floor(degrees)))


def _from_logs(log_ratio: float, error: float, degrees: float) -> Interval:
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * error
    return Interval(
        value=math.exp(log_ratio), low=math.exp(log_ratio - half), high=math.exp(log_ratio + half)
    )
