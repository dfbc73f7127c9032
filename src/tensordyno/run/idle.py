"""What the devices draw while this run leaves them alone, before its first trial and after its last."""

from collections.abc import Iterable

from tensordyno.clock import Clock
from tensordyno.records.device import IdleWindow
from tensordyno.records.trial import Trial

_SHARE = 0.6  # of the longest energy window: 3 s beside the usual 5 s
_COOL_DOWN = 1.0  # of it: clocks fall and the power sensor's average forgets the load


class IdleWatch:
    """Waits while the telemetry goes on; asks nothing of the devices."""

    def __init__(self, trials: Iterable[Trial], clock: Clock) -> None:
        windows_s = [t.measurement.energy_window_s(t.device) for t in trials if t.measurement.clock == "real"]
        self._longest_s = max(windows_s, default=0.0)
        self._clock = clock

    @property
    def wanted(self) -> bool:
        """Whether any trial measures its energy over a window of its own."""
        return self._longest_s > 0

    def before(self) -> IdleWindow:
        """Now, while no worker of this run has touched a device."""
        return self._watch("before", 0.0)

    def after(self) -> IdleWindow:
        """Once all workers are gone and the devices have cooled down."""
        return self._watch("after", _COOL_DOWN * self._longest_s)

    def _watch(self, when: str, cool_down_s: float) -> IdleWindow:
        self._clock.sleep(cool_down_s)
        start_s = self._clock.now()
        self._clock.sleep(_SHARE * self._longest_s)
        return IdleWindow(when=when, start_s=start_s, stop_s=self._clock.now(), cool_down_s=cool_down_s)
