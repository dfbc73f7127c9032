"""One monotonic clock per node, and a fake one for tests.

On Linux `time.perf_counter` is CLOCK_MONOTONIC, which all processes of a node share: time stamps of
the parent, its workers and the telemetry sampler lie on one axis without any correction. It begins anew
when a machine starts, so a run that is resumed after that puts its clock ahead, in all its processes.
"""

import os
import time
from collections.abc import Callable
from typing import Protocol

_AHEAD = "TENSORDYNO_CLOCK_AHEAD_S"  # how the processes of a resumed run hear of it


class Clock(Protocol):
    """What the instruments need of time. Unit: seconds."""

    def now(self) -> float:
        """Monotonic time in seconds."""

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass."""


def _ahead_by(ahead_s: float) -> Callable[[], float]:
    return (lambda: time.perf_counter() + ahead_s) if ahead_s else time.perf_counter


class RealClock:
    """The node's monotonic clock, or one as far ahead of it as `put_ahead` says."""

    now = staticmethod(_ahead_by(float(os.environ.get(_AHEAD, "0"))))
    sleep = staticmethod(time.sleep)


def put_ahead(ahead_s: float) -> None:
    """From now on `RealClock` shows that much more (less, if negative), also in processes started later."""
    os.environ[_AHEAD] = repr(ahead_s)
    RealClock.now = staticmethod(_ahead_by(ahead_s))


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
