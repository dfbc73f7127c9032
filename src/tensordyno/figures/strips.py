"""Which telemetry channels a reader wants to see, in readable units, thinned to what a page can show."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tensordyno.figures.base import Row
from tensordyno.figures.panels import rounded
from tensordyno.store.reader import Run, Series

FloatArray = NDArray[np.float64]
BINS = 240
FEWEST_BINS = 80
MOST_POINTS = 12_000  # of all lines together
MOST_BANDS = 2  # devices whose extremes can be told apart
MOST_DEVICES = 8
GIB = 2**30


class Wanted(NamedTuple):
    """A strip: its heading and unit, and the channels that it may show, best first; any `source` if empty."""

    title: str
    unit: str
    channels: tuple[str, ...]
    divisor: float = 1.0
    source: str = ""
    gpu: bool = True


_WANTED = (
    Wanted("CPU utilisation", "%", ("utilisation",), source="cpu", gpu=False),
    Wanted("Memory used", "GiB", ("used",), GIB, source="memory", gpu=False),
    Wanted("Power", "W", ("power", "energy"), gpu=False),
    Wanted("GPU utilisation", "%", ("utilisation_gpu", "utilisation")),
    Wanted("GPU memory controller busy", "%", ("utilisation_memory",)),
    Wanted("GPU memory used", "GiB", ("memory_used",), GIB),
    Wanted("GPU power", "W", ("power_instant", "power", "energy")),
    Wanted("GPU temperature", "°C", ("temperature",)),
    Wanted("GPU SM clock", "GHz", ("sm_clock",), 1e9),
    Wanted("PCIe, sent by the GPU", "GB/s", ("pcie_tx",), 1e9),
    Wanted("PCIe, received by the GPU", "GB/s", ("pcie_rx",), 1e9),
)
_LIMITS = {"GPU power": "power_limit"}


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


def strips(run: Run) -> tuple[list[Strip], str]:
    """The wanted channels of a run in the order they are drawn, and a note on devices left out.

    Cumulative energy becomes power.
    """
    found: list[Strip] = []
    most = 0
    for wanted in _WANTED:
        by_device = _by_device(wanted, run.series)
        most = max(most, len(by_device))
        found += list(by_device.values())[:MOST_DEVICES]
    note = f"Showing {MOST_DEVICES} of {most} devices." if most > MOST_DEVICES else ""
    return found, note


def limits(run: Run) -> list[Row]:
    """The highest value that the driver allows, where it says so: rows `strip, limit`, each limit once."""
    rows: list[Row] = []
    for title, channel in _LIMITS.items():
        mine = [s.values for s in run.series if s.channel.name == channel and _is_gpu(s)]
        allowed = {float(v) for values in mine for v in np.unique(values[np.isfinite(values)])}
        rows += [{"strip": title, "limit": limit} for limit in sorted(allowed)[:MOST_DEVICES]]
    return rows


def _by_device(wanted: Wanted, series: Iterable[Series]) -> dict[str, Strip]:
    """For each device the best of its channels that could be read at least twice."""
    found: dict[str, Strip] = {}
    fitting = [s for s in series if len(s.values) > 1 and _fits(wanted, s)]
    for one in sorted(fitting, key=lambda s: wanted.channels.index(s.channel.name)):
        strip = _strip(one, wanted)
        if strip.device not in found and np.isfinite(strip.values).any():
            found[strip.device] = strip
    return {device: found[device] for device in sorted(found, key=_number)}


def _fits(wanted: Wanted, series: Series) -> bool:
    """The whole CPU stands for its cores; an energy counter counts joules that only grow."""
    channel = series.channel
    if channel.name not in wanted.channels or _is_gpu(series) != wanted.gpu:
        return False
    if channel.name == "energy" and not (channel.cumulative and channel.unit == "J"):
        return False
    return not wanted.source or (
        channel.source == wanted.source and not (channel.source == "cpu" and channel.device)
    )


def _is_gpu(series: Series) -> bool:
    return re.fullmatch(r"gpu\d+", series.channel.device) is not None


def _number(device: str) -> tuple[int, str]:
    """gpu10 comes after gpu9."""
    digits = re.sub(r"\D", "", device)
    return int(digits or 0), device


def _strip(series: Series, wanted: Wanted) -> Strip:
    times, values = series.times_s, series.values / wanted.divisor
    if series.channel.cumulative:
        spans = np.diff(times)
        spans[spans <= 0] = np.nan
        times, values = times[1:], np.diff(values) / spans
    return Strip(wanted.title, wanted.unit, series.channel.device, times, values)


def readings(found: Sequence[Strip], zero_s: float) -> list[Row]:
    """One row a strip and device with lists `time, mean, low, high`, in seconds since the start.

    All lines together have at most `MOST_POINTS` moments, none fewer than `FEWEST_BINS`; of many devices
    only the means are given.
    """
    bins = max(FEWEST_BINS, min(BINS, MOST_POINTS // max(1, len(found))))
    devices = {strip.title: sum(other.title == strip.title for other in found) for strip in found}
    return [_thinned(strip, zero_s, bins, devices[strip.title] <= MOST_BANDS) for strip in found]


def _thinned(strip: Strip, zero_s: float, bins: int, extremes: bool) -> Row:
    """At most `bins` moments with the mean of each, and its lowest and highest value."""
    good = np.isfinite(strip.values)
    times, values = strip.times_s[good] - zero_s, strip.values[good]
    edges = np.linspace(times[0], times[-1], min(bins, len(times)) + 1)
    starts = np.unique(np.searchsorted(times, edges[:-1]))
    starts = starts[starts < len(times)]
    counts = np.diff([*starts, len(times)])
    row: Row = {"strip": strip.title, "device": strip.device or "all", "unit": strip.unit}
    row["time"] = [round(float(t), 2) for t in np.add.reduceat(times, starts) / counts]
    row["mean"] = _short(np.add.reduceat(values, starts) / counts)
    if extremes:
        row["low"] = _short(np.minimum.reduceat(values, starts))
        row["high"] = _short(np.maximum.reduceat(values, starts))
    return row


def _short(values: FloatArray) -> list[float | None]:
    return [rounded(float(value), 4) for value in values]
