"""Energy of a trial's kept bursts: counter difference where a counter exists, else integral of power.

Never zero for unknown: every way of not knowing is an `unavailable: reason`. A counter is interpolated
between its readings; bursts that the readings do not resolve are left out together with their images.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.records.reading import Channel, Unavailable
from tensordyno.records.trial import Trial
from tensordyno.store.reader import Series

FloatArray = NDArray[np.float64]
FEWEST_SECONDS = 5.0
FEWEST_UPDATES = 10
_SENSOR = {"cpu": "rapl", "gpu": "nvml"}
_PART_OF_PACKAGE = frozenset({"core", "uncore", "psys"})  # RAPL domains inside or around the package
_PREFERRED = ("energy", "power_instant", "power")  # "power" is a one-second average on newer GPUs


class Energy(Record, frozen=True, kw_only=True):
    """Energy of the bursts that telemetry resolves. Joules, watts, seconds; None means unknown."""

    joules_per_image: float | None = None
    power_w: float | None = None  # mean over those bursts
    method: str  # counter, integral, or "unavailable: reason"
    window_s: float = 0.0
    images: int = 0


@dataclass(frozen=True)
class Meter:
    """One device's energy since some moment: joules at times on the node's clock, in seconds."""

    device: str
    method: str
    times_s: FloatArray
    joules: FloatArray
    gaps_s: FloatArray  # to the next reading; 0 after the last
    moves: NDArray[np.int64]  # readings so far at which the value had changed
    falls: NDArray[np.int64]  # readings so far at which the energy had become less: a counter was reset


class Meters:
    """Every energy meter of a run, made ready once and asked by each trial."""

    def __init__(self, series: Iterable[Series], unavailable: Sequence[Unavailable] = ()) -> None:
        self._reasons = {u.source: u.reason for u in unavailable}
        usable = [s for s in series if s.channel.unit in ("J", "W") and np.isfinite(s.values).sum() > 1]
        counters = [_counter(s) for s in _whole_devices(usable, "J")]
        integrals = [_integral(s) for s in _whole_devices(usable, "W")]
        counted = {_kind(m.device) for m in counters}
        self._meters = counters + [m for m in integrals if _kind(m.device) not in counted]

    def energy(self, trial: Trial, bursts: Sequence[Burst]) -> Energy:
        """Energy of a trial's kept bursts on the devices it ran on."""
        wanted, reason = self._of_devices(trial)
        if reason:
            return _unavailable(reason)
        if not bursts:
            return _unavailable("nothing was measured")
        measured = [_joules(meter, bursts) for meter in wanted]
        joules = np.sum([j for j, _ in measured], axis=0)
        updates = min(n for _, n in measured)
        seen = np.isfinite(joules)
        window_s = sum(b.duration_s for b, ok in zip(bursts, seen, strict=True) if ok)
        images = sum(b.images for b, ok in zip(bursts, seen, strict=True) if ok)
        if window_s < FEWEST_SECONDS:
            return _unavailable(f"{window_s:.1f} s resolved by the sensor, {FEWEST_SECONDS:.0f} s needed")
        if updates < FEWEST_UPDATES:
            return _unavailable(f"the sensor moved {updates} times, {FEWEST_UPDATES} needed")
        total_j = float(joules[seen].sum())
        return Energy(
            joules_per_image=total_j / images,
            power_w=total_j / window_s,
            method=wanted[0].method,
            window_s=window_s,
            images=images,
        )

    def _of_devices(self, trial: Trial) -> tuple[list[Meter], str]:
        """The meters of a trial's devices, or the reason why there are none."""
        kind = "gpu" if trial.device.startswith("cuda") else trial.device
        found = [m for m in self._meters if _kind(m.device) == kind]
        if kind == "gpu":
            first = int(trial.device.partition(":")[2] or 0)
            names = [f"gpu{first + i}" for i in range(trial.devices)]
            found = [m for m in found if m.device in names]
            missing = sorted(set(names) - {m.device for m in found})
            if found and missing:
                return [], f"no energy sensor of {', '.join(missing)}"
        if found:
            return found, ""
        return [], self._reasons.get(_SENSOR.get(kind, ""), f"no energy or power sensor of {trial.device}")


def _unavailable(reason: str) -> Energy:
    return Energy(method=f"unavailable: {reason}")


def _kind(device: str) -> str:
    return "gpu" if re.fullmatch(r"gpu\d+", device) else "cpu"


def _whole_devices(series: Sequence[Series], unit: str) -> list[Series]:
    """Series of a unit that may be added up: one a device, no part beside its whole, one source a kind."""
    fitting = (s for s in series if s.channel.unit == unit and s.channel.cumulative == (unit == "J"))
    by_device: dict[tuple[str, str], Series] = {}
    for s in sorted(fitting, key=_preference):
        by_device.setdefault((s.channel.source, s.channel.device), s)
    chosen = list(by_device.values())
    whole = [s for s in chosen if not _domains(s.channel) & _PART_OF_PACKAGE]
    platform = [s for s in chosen if "psys" in _domains(s.channel)]
    if platform and not any(_kind(s.channel.device) == "cpu" for s in whole):
        whole += platform
    source: dict[str, str] = {}
    for s in whole:
        source.setdefault(_kind(s.channel.device), s.channel.source)
    return [s for s in whole if s.channel.source == source[_kind(s.channel.device)]]


def _preference(series: Series) -> tuple[str, int, str]:
    name = series.channel.name
    rank = _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    return series.channel.source, rank, name


def _domains(channel: Channel) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", f"{channel.device} {channel.name}".lower()))


def _counter(series: Series) -> Meter:
    ok = np.isfinite(series.values)
    return _meter(series.channel.device, "counter", series.times_s[ok], series.values[ok], series.values[ok])


def _integral(series: Series) -> Meter:
    """Trapezoids between readings of power."""
    ok = np.isfinite(series.values)
    times_s, power_w = series.times_s[ok], series.values[ok]
    steps = np.diff(times_s) * (power_w[1:] + power_w[:-1]) / 2
    joules = np.concatenate(([0.0], np.cumsum(steps)))
    return _meter(series.channel.device, "integral", times_s, joules, np.arange(len(joules), dtype=float))


def _meter(device: str, method: str, times_s: FloatArray, joules: FloatArray, moving: FloatArray) -> Meter:
    return Meter(
        device=device,
        method=method,
        times_s=times_s,
        joules=joules,
        gaps_s=np.append(np.diff(times_s), 0.0),
        moves=np.concatenate(([0], np.cumsum(np.diff(moving) != 0))),
        falls=np.concatenate(([0], np.cumsum(np.diff(joules) < 0))),
    )


def _joules(meter: Meter, bursts: Sequence[Burst]) -> tuple[FloatArray, int]:
    """Energy of each burst in joules, NaN where not resolved, and the updates seen in the others.

    Resolved: readings on both sides, none of them further apart than half the burst, no step back.
    """
    edges = np.array([(b.start_s, b.stop_s) for b in bursts])
    energy_j = np.interp(edges, meter.times_s, meter.joules)
    before = np.searchsorted(meter.times_s, edges[:, 0], side="right") - 1
    after = np.searchsorted(meter.times_s, edges[:, 1], side="left")
    last = len(meter.times_s) - 1
    low = np.clip(before, 0, last - 1)
    high = np.clip(after, low + 1, last)
    # reduceat takes the maximum from each index to the next; every second one lies between two bursts
    widest_s = np.maximum.reduceat(meter.gaps_s, np.column_stack((low, high)).ravel())[::2]
    resolved = (before >= 0) & (after <= last) & (meter.falls[high] == meter.falls[low])
    resolved &= widest_s <= (edges[:, 1] - edges[:, 0]) / 2
    joules = np.where(resolved, energy_j[:, 1] - energy_j[:, 0], np.nan)
    return joules, int((meter.moves[high] - meter.moves[low])[resolved].sum())
