"""Plays a stored file of readings back against a clock, for tests and for showing GPUs without one."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tensordyno.clock import Clock, RealClock
from tensordyno.records.reading import Channel, DeviceFacts
from tensordyno.store.reader import Series, read_devices, read_series
from tensordyno.telemetry.base import SensorUnavailable, Source


class ReplaySource(Source):
    """A recording whose first reading happens when it is opened.

    Channels keep the source, names and units that they were recorded with, and `name` is theirs too.
    Each reading is the last recorded one; NaN before a channel's first and after its last.
    """

    name = "replay"

    def __init__(self, recording: Path, clock: Clock | None = None) -> None:
        self._recording = recording
        self._clock = clock or RealClock()
        self._series: tuple[Series, ...] = ()

    def open(self) -> tuple[Channel, ...]:
        """The recording's channels. Raises StoreError for a broken line."""
        if not self._recording.exists():
            raise SensorUnavailable(f"no recording at {self._recording}")
        self._series = tuple(read_series(self._recording))
        if not self._series:
            raise SensorUnavailable(f"{self._recording} holds no readings")
        self.name = self._series[0].channel.source
        self._shift_s = min(float(series.times_s[0]) for series in self._series) - self._clock.now()
        return tuple(series.channel for series in self._series)

    def read(self) -> Sequence[float]:
        """The recorded values of this moment."""
        at_s = self._clock.now() + self._shift_s
        return [_value_at(series, at_s) for series in self._series]

    def devices(self) -> tuple[DeviceFacts, ...]:
        """The recording's devices."""
        return read_devices(self._recording)


def _value_at(series: Series, at_s: float) -> float:
    last = int(np.searchsorted(series.times_s, at_s, side="right")) - 1
    if last < 0 or at_s > series.times_s[-1]:
        return math.nan
    return float(series.values[last])


MEMBER = ReplaySource
