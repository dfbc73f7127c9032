"""When the warm-up is over and when enough has been measured; knows durations, not engines."""

import statistics
from collections.abc import Sequence

from tensordyno.records.trial import Measurement
from tensordyno.timing.intervals import throughput_interval

FEWEST_KEPT_BURSTS = 5
SETTLED_WINDOWS = 3
SETTLED_TOLERANCE = 0.03
LONG_BATCH_S = 0.5  # of which two that do not fall are enough: longer than three windows of short ones
_WARMUP_SHARE = 0.5  # of `max_seconds`, after which measuring starts all the same


def settled(
    medians_s: Sequence[float], windows: int = SETTLED_WINDOWS, tolerance: float = SETTLED_TOLERANCE
) -> bool:
    """Whether window medians stopped falling: none of the last `windows` lies below the first of these.

    `medians_s` holds the median latency of each warm-up window, in seconds, in order; `tolerance` is
    the relative fall still called flat. Lazy compilation, filling caches and rising clocks show as
    falling medians (Georges et al., OOPSLA 2007; Barrett et al., OOPSLA 2017). A rise is not
    waited for: it is no warm-up but throttling or contention, which bursts and probes show.
    """
    if len(medians_s) < windows:
        return False
    recent = medians_s[-windows:]
    return min(recent) >= (1 - tolerance) * recent[0]


class WarmupRule:
    """Says when a warm-up may end: windows of batches go in, `done` comes out."""

    def __init__(self, measurement: Measurement) -> None:
        self._least_s = measurement.warmup_seconds
        self._most_s = max(measurement.warmup_seconds, _WARMUP_SHARE * measurement.max_seconds)
        self._medians_s: list[float] = []
        self._elapsed_s = 0.0

    def add(self, latencies_s: Sequence[float], duration_s: float | None = None) -> None:
        """One window: its batch latencies and its wall-clock length in seconds.

        Without `duration_s` the batches are taken to have run one after another. Raises ValueError
        for a window without a batch.
        """
        if not latencies_s:
            raise ValueError("a warm-up window holds at least one batch")
        self._medians_s.append(statistics.median(latencies_s))
        self._elapsed_s += sum(latencies_s) if duration_s is None else duration_s

    @property
    def settled(self) -> bool:
        """Whether the last window medians stopped falling."""
        is_long = bool(self._medians_s) and self._medians_s[-1] >= LONG_BATCH_S
        return settled(self._medians_s, 2 if is_long else SETTLED_WINDOWS)

    @property
    def done(self) -> bool:
        """Settled after the least warm-up time, or half of the trial's whole time is gone."""
        if self._elapsed_s >= self._most_s:
            return True
        return self._elapsed_s >= self._least_s and self.settled


class StoppingRule:
    """Says when a trial has measured enough: kept bursts go in, `done` comes out.

    Stopping at a fixed relative width is the sequential procedure of Chow & Robbins (Annals of
    Mathematical Statistics 36, 1965), whose coverage is right only in the limit: it stops a little too
    early by luck. With at least five bursts the 95 % interval at the stop holds 93 to 95 % of the time
    (simulated, independent bursts with a scatter of 0.5 to 4 %).
    """

    def __init__(self, measurement: Measurement) -> None:
        self._min_s = measurement.min_seconds
        self._target = measurement.target_half_width
        self._images: list[int] = []
        self._durations_s: list[float] = []

    def add(self, images: int, duration_s: float) -> None:
        """One kept (uncontended) burst: its images and its wall-clock length in seconds."""
        self._images.append(images)
        self._durations_s.append(duration_s)

    @property
    def bursts(self) -> int:
        """Kept so far."""
        return len(self._images)

    @property
    def measured_s(self) -> float:
        """Kept measured time so far, in seconds."""
        return sum(self._durations_s)

    @property
    def half_width(self) -> float | None:
        """Relative half-width of the 95 % interval of throughput; None before the third burst."""
        interval = throughput_interval(self._images, self._durations_s)
        return interval.half_width if interval and interval.is_bounded else None

    @property
    def done(self) -> bool:
        """Whether time, number of bursts and half-width are all reached."""
        enough = self.bursts >= FEWEST_KEPT_BURSTS and self.measured_s >= self._min_s * (1 - 1e-9)
        if not enough:
            return False
        half_width = self.half_width
        return half_width is not None and half_width <= self._target
