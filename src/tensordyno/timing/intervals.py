"""A value with its 95 % interval, and the interval of a throughput measured in bursts.

Consecutive batches of one process are not independent: caches, clocks and neighbours act for longer
than a batch. Statistics therefore treat a whole burst as one observation, the method of batch means
(Law & Kelton, Simulation Modeling and Analysis, section 9.5.3; Kalibera & Jones, Rigorous Benchmarking
in Reasonable Time, ISMM 2013: repeat at the level where the variation arises).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from tensordyno.records.base import Record
from tensordyno.timing.student import t_quantile

CONFIDENCE = 0.95
FEWEST_BURSTS = 3  # with fewer, the t quantile (12.7 and more) says nothing useful


class Interval(Record, frozen=True, kw_only=True):
    """A value with its 95 % interval; `low` and `high` are NaN where the interval is refused."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative half-width; NaN where the interval is refused."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else 0.0

    @property
    def is_bounded(self) -> bool:
        """Whether there is an interval, and not a bare value."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def overlaps(self, other: "Interval") -> bool:
        """Whether both could be the same number; a refused interval overlaps with everything."""
        if not (self.is_bounded and other.is_bounded):
            return True
        return self.low <= other.high and other.low <= self.high

    def scaled(self, factor: float) -> "Interval":
        """The same in another unit; `factor` is positive."""
        return Interval(value=self.value * factor, low=self.low * factor, high=self.high * factor)


def unbounded(value: float) -> Interval:
    """A value whose interval is refused."""
    return Interval(value=value, low=math.nan, high=math.nan)


def throughput_interval(images: ArrayLike, durations_s: ArrayLike) -> Interval | None:
    """Images per second over bursts, with its 95 % interval; None when there was no burst.

    `images` and `durations_s` (seconds) hold one entry a burst. The value is all images over all time.
    Its variance is that of the ratio estimator, sum(e^2) / (n (n - 1) mean(duration)^2) with residuals
    e = images - value * duration (Cochran, Sampling Techniques, 3rd edition, section 6.4), and the
    interval takes Student's t with n - 1 degrees of freedom. With fewer than 3 bursts it is refused.
    """
    counts, times_s = np.asarray(images, dtype=float), np.asarray(durations_s, dtype=float)
    n, total_s = len(counts), float(times_s.sum())
    if n == 0 or not total_s > 0:
        return None
    value = float(counts.sum()) / total_s
    if n < FEWEST_BURSTS:
        return unbounded(value)
    residuals = counts - value * times_s
    error = math.sqrt(float(residuals @ residuals) * n / (n - 1)) / total_s
    half = t_quantile((1 + CONFIDENCE) / 2, n - 1) * error
    return Interval(value=value, low=max(0.0, value - half), high=value + half)
