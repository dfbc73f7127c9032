"""What devices draw when a run leaves them alone."""

from collections.abc import Iterable, Sequence

from tensordyno.analysis.meters import Meter
from tensordyno.records.base import Record
from tensordyno.records.device import IdleWindow


class IdlePower(Record, frozen=True, kw_only=True):
    """Mean power of one device in watts before the first trial and after the last; None: not known."""

    device: str
    before_w: float | None = None
    after_w: float | None = None

    @property
    def mean_w(self) -> float | None:
        """Of what is known."""
        return _mean(w for w in (self.before_w, self.after_w) if w is not None)

    @property
    def moved(self) -> float | None:
        """After over before, minus 1."""
        if not self.before_w or self.after_w is None:
            return None
        return self.after_w / self.before_w - 1


def idle_power(meter: Meter, windows: Sequence[IdleWindow]) -> IdlePower:
    """One device's power in the run's idle windows that its sensor resolves; equal weight to each."""
    return IdlePower(
        device=meter.device,
        before_w=_mean(_powers(meter, (w for w in windows if w.when == "before"))),
        after_w=_mean(_powers(meter, (w for w in windows if w.when == "after"))),
    )


def _powers(meter: Meter, windows: Iterable[IdleWindow]) -> Iterable[float]:
    for window in windows:
        lead_s = max(0.0, meter.settles_s - window.cool_down_s)
        found = meter.steady_power(window.start_s, window.stop_s, lead_s)
        if not found.reason:
            yield found.power_w


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None
