"""Tells the parent how far a long order has come, but not more often than anybody can read."""

from collections.abc import Callable

from tensordyno.clock import Clock
from tensordyno.records.messages import ProgressReport

_BETWEEN_REPORTS_S = 0.2  # a small network answers thousands of images a second


class Spaced:
    """Passes on the first and the last step of everything that is done, and some of those between."""

    def __init__(self, say: Callable[[ProgressReport], None], clock: Clock) -> None:
        self._say = say
        self._clock = clock
        self._doing = ""
        self._last_s = 0.0

    def __call__(self, doing: str, done: int, total: int) -> None:
        """Say that `done` of `total` are done of what is `doing`, if it is time to say so."""
        now = self._clock.now()
        if doing == self._doing and done < total and now - self._last_s < _BETWEEN_REPORTS_S:
            return
        self._doing, self._last_s = doing, now
        self._say(ProgressReport(doing=doing, done=done, total=total))
