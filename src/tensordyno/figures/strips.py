"""Which telemetry channels a reader wants to see, in readable units, thinned to what a page can show."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensordyno.figures.base import Row
from tensordyno.figures.panels import rounded
from tensordyno.store.reader import Run, Series

FloatArray = NDArray[np.float64]
BINS = 240
MOST_DEVICES = 8
GIB = 2**30

# (source, channel, heading, unit, divisor); an empty source stands for any
_WANTED = (
    ("cpu", "utilisation", "CPU utilisation", "%", 1.0),
    ("nvml", "utilisation", "GPU utilisation", "%", 1.0),
    ("nvml", "utilisation_gpu", "GPU utilisation", "%", 1.0),
    ("memory", "used", "Memory used", "GiB", GIB),
    ("nvml", "memory_used", "GPU memory used", "GiB", GIB),
    ("", "power", "Power", "W", 1.0),
    ("", "energy", "Power", "W", 1.0),
    ("nvml", "temperature", "GPU temperature", "°C", 1.0),
)


@dataclass(frozen=True)
class Strip:
    """One channel ready to draw: times on the monotonic clock in seconds, values in `unit`."""

    title: str
    unit: str
    device: str
    times_s: FloatArray
    values: FloatArray

    @property
    def mean(self) -> float:
        """Mean of the values that could be read."""
        return float(np.nanmean(self.values))

    def summary(self) -> Row:
        """One line for the table beside the chart."""
        return {
            "strip": self.title,
            "device": self.device or "all",
            "mean": rounded(self.mean, 4),
            "low": rounded(float(np.nanmin(self.values)), 4),
            "high": rounded(float(np.nanmax(self.values)), 4),
            "unit": self.unit,
        }


def strips(run: Run) -> list[Strip]:
    """The wanted channels of a run, in the order they are drawn; cumulative energy becomes power."""
    found: list[Strip] = []
    for source, name, title, unit, divisor in _WANTED:
        mine = [s for s in run.series if _is(s, source, name) and len(s.values) > 1]
        have = {(strip.title, strip.device) for strip in found}
        made = [_strip(s, title, unit, divisor) for s in mine]
        found += [s for s in made if (title, s.device) not in have and np.isfinite(s.values).any()][
            :MOST_DEVICES
        ]
    return found


def _is(series: Series, source: str, name: str) -> bool:
    """The whole CPU stands for its cores; an energy counter counts joules that only grow."""
    channel = series.channel
    if channel.name != name or (source and channel.source != source):
        return False
    if name == "energy" and not (channel.cumulative and channel.unit == "J"):
        return False
    return channel.source != "cpu" or not channel.device


def _strip(series: Series, title: str, unit: str, divisor: float) -> Strip:
    times, values = series.times_s, series.values / divisor
    if series.channel.cumulative:
        spans = np.diff(times)
        spans[spans <= 0] = np.nan
        times, values = times[1:], np.diff(values) / spans
    return Strip(title, unit, series.channel.device, times, values)


def readings(strip: Strip, zero_s: float) -> list[Row]:
    """At most `BINS` moments: mean, lowest and highest value of each, seconds since the start."""
    good = np.isfinite(strip.values)
    times, values = strip.times_s[good] - zero_s, strip.values[good]
    edges = np.linspace(times[0], times[-1], min(BINS, len(times)) + 1)
    starts = np.unique(np.searchsorted(times, edges[:-1]))
    starts = starts[starts < len(times)]
    counts = np.diff([*starts, len(times)])
    columns = (
        np.add.reduceat(times, starts) / counts,
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )
    names = {"strip": strip.title, "device": strip.device or "all", "unit": strip.unit}
    return [
        {**names, "time": round(float(t), 3), "mean": rounded(float(m), 4)}
        | {"low": rounded(float(low), 4), "high": rounded(float(high), 4)}
        for t, m, low, high in zip(*columns, strict=True)
    ]
