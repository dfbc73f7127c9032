"""One monotonic clock per node, and a fake one for tests.

On Linux `time.perf_counter` is CLOCK_MONOTONIC, which all processes of a node share: time stamps of
the parent, its workers and the telemetry sampler lie on one axis without any correction.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the instruments need of time. Unit: seconds."""

    def now(self) -> float:
        """Monotonic time in seconds."""

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass."""


class RealClock:
    """The node's monotonic clock."""

    now = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)


class FakeClock:
    """A clock that moves only when told; one that ticks by itself would hide ordering mistakes."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now(self) -> float:
        """The fake time in seconds."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Move the fake time forward by `duration_s` seconds.

        Raises ValueError when `duration_s` is negative: monotonic time cannot run back.
        """
        if duration_s < 0:
            raise ValueError(f"a clock cannot go back by {-duration_s} s")
        self._now_s += duration_s
