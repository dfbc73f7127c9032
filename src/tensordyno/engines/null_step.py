"""Steps of the null engine: they let a known time pass, or do known work, and hold known answers."""

import time
from collections.abc import Callable
from typing import Any

from tensordyno.clock import Clock, RealClock
from tensordyno.timing.step import FloatArray, Step


class NullStep(Step):
    """Lets `wait` pass the time that `cost` gives in seconds, one batch after the other."""

    def __init__(self, wait: Callable[[float], None], cost: Callable[[], float], logits: FloatArray) -> None:
        self._wait = wait
        self._cost = cost
        self._logits = logits

    def run(self) -> None:
        """Take one batch's time."""
        self._wait(self._cost())

    def output(self) -> FloatArray:
        """The reference's logits, shape (batch, classes)."""
        return self._logits.copy()


class SideBySide(NullStep):
    """As many batches at a time as the depth says: that many times the throughput."""

    def __init__(
        self,
        wait: Callable[[float], None],
        cost: Callable[[], float],
        logits: FloatArray,
        *,
        depth: int,
        clock: Clock,
    ) -> None:
        super().__init__(wait, cost, logits)
        self.depth = depth
        self._now = clock.now

    def start(self) -> Any:
        """The time at which this batch will be done."""
        return self._now() + self._cost()

    def finish(self, handle: Any) -> None:
        """Wait until the batch is done."""
        left_s = handle - self._now()
        if left_s > 0:
            self._wait(left_s)


class WorkStep(Step):
    """Does one portion of known work a batch."""

    def __init__(self, portion: Callable[[], object], logits: FloatArray) -> None:
        self._portion = portion
        self._logits = logits

    def run(self) -> None:
        """Do one portion."""
        self._portion()

    def output(self) -> FloatArray:
        """The reference's logits, shape (batch, classes)."""
        return self._logits.copy()


def waiting(cost_s: float, clock: Clock, *, spin: bool) -> Callable[[float], None]:
    """How time passes: asleep on the clock, busy on the real one where told to, or not at all."""
    if not cost_s:
        return _nothing  # a sleep of no length takes Linux some 50 microseconds
    return _spin if spin and isinstance(clock, RealClock) else clock.sleep


def _nothing(duration_s: float) -> None:
    pass


def _spin(duration_s: float) -> None:
    end_s = time.perf_counter() + duration_s
    while time.perf_counter() < end_s:
        pass
