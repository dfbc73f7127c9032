"""Meters: what one device has consumed since some moment, by its own counter or as the integral of power."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensordyno.records.reading import Channel
from tensordyno.store.reader import Series

FloatArray = NDArray[np.float64]
FEWEST_UPDATES = 10
WIDEST_GAP_S = 1.0  # between readings of a steady stretch
LEAST_COVERED = 0.8  # of a steady stretch
_PART_OF_PACKAGE = frozenset({"core", "uncore", "psys"})  # RAPL domains inside or around the package
_PREFERRED = ("energy", "power_instant", "power")  # "power" is a one-second average on newer GPUs
# How long after a change of load a sensor may still speak of the time before. NVML's energy counter moves
# every 100 ms (seen on an H200) and a capped GPU needs as long again to find its clock; its averaged power
# looks back one second. Twice or more of that.
_SETTLES_S = {"energy": 0.5, "power_instant": 0.5}
_SLOW_S = 1.5  # any other power


@dataclass(frozen=True)
class Steady:
    """Mean power between the first and the last reading of a stretch; without one, the reason."""

    power_w: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Meter:
    """One device's energy since some moment: joules at times on the node's clock, in seconds."""

    source: str
    device: str
    method: str  # counter, integral
    settles_s: float
    times_s: FloatArray
    joules: FloatArray
    gaps_s: FloatArray  # to the next reading; 0 after the last
    moves: NDArray[np.int64]  # readings so far at which the value had changed
    falls: NDArray[np.int64]  # readings so far at which the energy had become less: a counter was reset

    def between(self, edges: FloatArray) -> tuple[FloatArray, int]:
        """Joules between each pair of times, edges (n, 2), NaN where not resolved; and the updates seen.

        Interpolated between readings. Resolved: readings on both sides, none of them further apart than
        half the stretch, no step back.
        """
        energy_j = np.interp(edges, self.times_s, self.joules)
        before = np.searchsorted(self.times_s, edges[:, 0], side="right") - 1
        after = np.searchsorted(self.times_s, edges[:, 1], side="left")
        last = len(self.times_s) - 1
        low = np.clip(before, 0, last - 1)
        high = np.clip(after, low + 1, last)
        # reduceat takes the maximum from each index to the next; every second one lies between two stretches
        widest_s = np.maximum.reduceat(self.gaps_s, np.column_stack((low, high)).ravel())[::2]
        resolved = (before >= 0) & (after <= last) & (self.falls[high] == self.falls[low])
        resolved &= widest_s <= (edges[:, 1] - edges[:, 0]) / 2
        joules = np.where(resolved, energy_j[:, 1] - energy_j[:, 0], np.nan)
        return joules, int((self.moves[high] - self.moves[low])[resolved].sum())

    def steady_power(self, start_s: float, stop_s: float, lead_s: float | None = None) -> Steady:
        """Mean power of an unbroken load, from readings that lie inside it; the first `lead_s` are dropped.

        A counter is read where it moves: such a reading is as old as the sampler's interval at most,
        however coarse the counter's steps. `lead_s` is the sensor's own delay unless given.
        """
        lead_s = self.settles_s if lead_s is None else lead_s
        low = max(int(np.searchsorted(self.times_s, start_s + lead_s)), 1)
        high = int(np.searchsorted(self.times_s, stop_s, side="right"))
        moved = low + np.flatnonzero(np.diff(self.moves[low - 1 : high]) > 0)
        updates = max(len(moved) - 1, 0)
        if updates < FEWEST_UPDATES:
            return Steady(reason=f"the sensor moved {updates} times in its window, {FEWEST_UPDATES} needed")
        first, last = int(moved[0]), int(moved[-1])
        span_s = float(self.times_s[last] - self.times_s[first])
        if span_s < LEAST_COVERED * (stop_s - start_s - lead_s):
            return Steady(reason=f"readings cover {span_s:.1f} s of a window of {stop_s - start_s:.1f} s")
        if self.gaps_s[first - 1 : last].max() > WIDEST_GAP_S:
            return Steady(reason=f"readings of its window lie more than {WIDEST_GAP_S:g} s apart")
        if self.falls[last] != self.falls[first]:
            return Steady(reason="the counter was reset in its window")
        joules = float(self.joules[last] - self.joules[first])
        return Steady(joules / span_s, float(self.times_s[first]), float(self.times_s[last]))


def counters(series: Iterable[Series]) -> list[Meter]:
    """A meter for each device with an energy counter."""
    return [_counter(s) for s in _whole_devices(_usable(series), "J")]


def integrals(series: Iterable[Series]) -> list[Meter]:
    """A meter for each device with a power sensor, the least averaged one."""
    return [_integral(s) for s in _whole_devices(_usable(series), "W")]


def kind(device: str) -> str:
    """What a device of telemetry is: gpu, or else part of the CPU's side."""
    return "gpu" if re.fullmatch(r"gpu\d+", device) else "cpu"


def _usable(series: Iterable[Series]) -> list[Series]:
    return [
        s
        for s in series
        if s.channel.unit in ("J", "W")
        and not s.channel.name.endswith("_limit")
        and np.isfinite(s.values).sum() > 1
    ]


def _whole_devices(series: Sequence[Series], unit: str) -> list[Series]:
    """Series of a unit that may be added up: one a device, no part beside its whole, one source a kind."""
    fitting = (s for s in series if s.channel.unit == unit and s.channel.cumulative == (unit == "J"))
    by_device: dict[tuple[str, str], Series] = {}
    for s in sorted(fitting, key=_preference):
        by_device.setdefault((s.channel.source, s.channel.device), s)
    chosen = list(by_device.values())
    whole = [s for s in chosen if not _domains(s.channel) & _PART_OF_PACKAGE]
    platform = [s for s in chosen if "psys" in _domains(s.channel)]
    if platform and not any(kind(s.channel.device) == "cpu" for s in whole):
        whole += platform
    source: dict[str, str] = {}
    for s in whole:
        source.setdefault(kind(s.channel.device), s.channel.source)
    return [s for s in whole if s.channel.source == source[kind(s.channel.device)]]


def _preference(series: Series) -> tuple[str, int, str]:
    name = series.channel.name
    rank = _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    return series.channel.source, rank, name


def _domains(channel: Channel) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", f"{channel.device} {channel.name}".lower()))


def _counter(series: Series) -> Meter:
    ok = np.isfinite(series.values)
    return _meter(series.channel, "counter", series.times_s[ok], series.values[ok], series.values[ok])


def _integral(series: Series) -> Meter:
    """Trapezoids between readings of power."""
    ok = np.isfinite(series.values)
    times_s, power_w = series.times_s[ok], series.values[ok]
    steps = np.diff(times_s) * (power_w[1:] + power_w[:-1]) / 2
    joules = np.concatenate(([0.0], np.cumsum(steps)))
    return _meter(series.channel, "integral", times_s, joules, np.arange(len(joules), dtype=float))


def _meter(
    channel: Channel, method: str, times_s: FloatArray, joules: FloatArray, moving: FloatArray
) -> Meter:
    return Meter(
        source=channel.source,
        device=channel.device,
        method=method,
        settles_s=_SETTLES_S.get(channel.name, _SLOW_S),
        times_s=times_s,
        joules=joules,
        gaps_s=np.append(np.diff(times_s), 0.0),
        moves=np.concatenate(([0], np.cumsum(np.diff(moving) != 0))),
        falls=np.concatenate(([0], np.cumsum(np.diff(joules) < 0))),
    )
