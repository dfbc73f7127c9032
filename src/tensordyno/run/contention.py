"""The best spin rate known, against which a worker judges whether its cores are free."""

from statistics import median

from tensordyno.records.burst import Burst


class SpinReference:
    """Learns the rate of an undisturbed machine from every probe of the run.

    The reference is the median of the best tenth of all probes, not the single best: the largest of
    many noisy numbers grows with their count, and the threshold would tighten as the run goes on.
    """

    def __init__(self) -> None:
        self._rates: list[float] = []

    def learn(self, burst: Burst) -> None:
        """Take in the probes of a burst."""
        self._rates += [probe.rate for probe in (burst.before, burst.after) if probe]

    @property
    def rate(self) -> float | None:
        """MiB hashed per second on an undisturbed machine; None before the first probe."""
        if not self._rates:
            return None
        best_tenth = sorted(self._rates)[-max(1, len(self._rates) // 10) :]
        return median(best_tenth)
