"""The conditions a GPU trial ran under: clock, temperature, what slowed the GPU down, and its neighbours.

Read from telemetry during the kept bursts; where these hold too few readings, from the first burst to the
last, between which the trials of a group share the GPU.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tensordyno.analysis.gpu_numbers import gpu_labels, gpus_of
from tensordyno.analysis.meters import kind
from tensordyno.analysis.ratio import is_kept
from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run, Series
from tensordyno.vocabulary import Verdict

FloatArray = NDArray[np.float64]
MOST_DISTURBED = 0.10  # of the readings
FEWEST_READINGS = 5
THROTTLED, SHARED = "gpu-throttled", "gpu-shared"
DISTURBED = frozenset({THROTTLED, SHARED})  # slugs of an UNSTABLE that measuring longer does not cure
POWER_CAP = "sw power cap"
# Bits of nvmlClocksEventReasons in nvml.h under nvidia-smi's names; bit 0, "gpu idle", slows nothing down.
REASONS = {
    0x2: "applications clocks setting",
    0x4: POWER_CAP,
    0x8: "hw slowdown",
    0x10: "sync boost",
    0x20: "sw thermal slowdown",
    0x40: "hw thermal slowdown",
    0x80: "hw power brake slowdown",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
SLOWDOWN = 0x8 | 0x20 | 0x40 | 0x80
_THIRDS = 3
_WANTED = ("sm_clock", "temperature", "throttle_reasons", "other_processes")


class Conditions(Record, frozen=True, kw_only=True):
    """One GPU, or the worst of several, while a trial ran. None: not known. Hertz, degrees Celsius."""

    readings: int
    sm_clock_hz: float | None = None  # mean
    highest_clock_hz: float | None = None  # ever read from this GPU in the run
    clock_drop: float | None = None  # last third of the trial under the first third, as a fraction
    temperature_max_c: float | None = None
    temperature_rise_c: float | None = None  # last third less first third
    reasons: dict[str, float] = msgspec.field(
        default_factory=dict
    )  # name -> fraction of the readings, the most frequent first
    slowed: float = 0.0  # fraction of the readings with a thermal or hardware slowdown
    shared: float | None = None  # fraction of the readings with another process on the GPU

    @property
    def text(self) -> str:
        """'sw power cap 84 %, hw slowdown 3 %'."""
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.reasons.items())

    def disturbances(self) -> dict[str, str]:
        """What makes the trial's numbers unfit for ranking: slug -> sentence."""
        found: dict[str, str] = {}
        if self.slowed > MOST_DISTURBED:
            names = ", ".join(n for bit, n in REASONS.items() if bit & SLOWDOWN and n in self.reasons)
            share = f"{100 * self.slowed:.0f} %"
            found[THROTTLED] = f"The GPU slowed itself down ({names}) in {share} of the readings."
        if self.shared is not None and self.shared > MOST_DISTURBED:
            share = f"{100 * self.shared:.0f} %"
            found[SHARED] = f"Another process was on the GPU in {share} of the readings."
        return found


@dataclass(frozen=True)
class _Gpu:
    """The wanted channels of one GPU on common times."""

    times_s: FloatArray
    channels: dict[str, FloatArray]

    def rows(self, bursts: Sequence[Burst]) -> NDArray[np.intp]:
        """The readings during these bursts, or between the first and the last if that are too few."""
        spans = [(b.start_s, b.stop_s) for b in bursts]
        found = self._inside(spans)
        if len(found) >= FEWEST_READINGS:
            return found
        return self._inside([(min(a for a, _ in spans), max(b for _, b in spans))])

    def column(self, name: str, rows: NDArray[np.intp]) -> FloatArray:
        """Known values of a channel."""
        values = self.channels[name][rows] if name in self.channels else np.empty(0)
        return values[np.isfinite(values)]

    def _inside(self, spans: Sequence[tuple[float, float]]) -> NDArray[np.intp]:
        edges = np.array(spans)
        low = np.searchsorted(self.times_s, edges[:, 0], side="left")
        high = np.searchsorted(self.times_s, edges[:, 1], side="right")
        return np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])


class GpuReadings:
    """What telemetry saw of every GPU of a run, made ready once and asked by each trial."""

    def __init__(self, run: Run) -> None:
        self._gpus = _gpus(run.series)
        self._labels = gpu_labels(run.devices) if self._gpus else {}

    def conditions(self, outcome: Outcome) -> Conditions | None:
        """The conditions of a trial; None off a GPU, without telemetry or with too few readings."""
        bursts = [b for b in outcome.bursts if is_kept(b)]
        if not bursts or not self._gpus or not outcome.trial.device.startswith("cuda"):
            return None
        names, _ = gpus_of(outcome, self._labels)
        found = [_conditions(self._gpus[name], bursts) for name in names if name in self._gpus]
        seen = [one for one in found if one.readings >= FEWEST_READINGS]
        return _worst(seen) if seen and len(seen) == len(names) else None

    def fields(self, outcome: Outcome) -> dict[str, Any]:
        """Those of a Score; a disturbed trial loses its VALID."""
        seen = self.conditions(outcome)
        if seen is None:
            return {}
        found: dict[str, Any] = {
            "sm_clock_hz": seen.sm_clock_hz,
            "temperature_max_c": seen.temperature_max_c,
            "throttled": seen.text,
        }
        if outcome.verdict is Verdict.VALID:
            for slug, reason in list(seen.disturbances().items())[:1]:
                found |= {"verdict": Verdict.UNSTABLE, "reason": reason, "slug": slug}
        return found


def _gpus(series: Iterable[Series]) -> dict[str, _Gpu]:
    """By telemetry's name; where two sources know a GPU, the first in alphabetical order counts."""
    parts: dict[tuple[str, str], dict[str, Series]] = {}
    for s in series:
        if kind(s.channel.device) == "gpu" and s.channel.name in _WANTED:
            parts.setdefault((s.channel.device, s.channel.source), {})[s.channel.name] = s
    found: dict[str, _Gpu] = {}
    for (device, _), channels in sorted(parts.items(), key=lambda part: part[0]):
        times_s = max((s.times_s for s in channels.values()), key=len)
        alike = {n: s.values for n, s in channels.items() if len(s.values) == len(times_s)}
        found.setdefault(device, _Gpu(times_s, alike))
    return found


def _conditions(gpu: _Gpu, bursts: Sequence[Burst]) -> Conditions:
    rows = gpu.rows(bursts)
    clocks, degrees = gpu.column("sm_clock", rows), gpu.column("temperature", rows)
    bits = gpu.column("throttle_reasons", rows).astype(np.int64)
    others = gpu.column("other_processes", rows)
    clock_hz, degrees_c = _thirds(clocks), _thirds(degrees)
    return Conditions(
        readings=len(rows),
        sm_clock_hz=float(clocks.mean()) if len(clocks) else None,
        highest_clock_hz=_highest(gpu),
        clock_drop=1 - clock_hz[1] / clock_hz[0] if clock_hz and clock_hz[0] else None,
        temperature_max_c=float(degrees.max()) if len(degrees) else None,
        temperature_rise_c=degrees_c[1] - degrees_c[0] if degrees_c else None,
        reasons=_shares(bits),
        slowed=float(np.mean(bits & SLOWDOWN != 0)) if len(bits) >= FEWEST_READINGS else 0.0,
        shared=float(np.mean(others > 0)) if len(others) >= FEWEST_READINGS else None,
    )


def _thirds(values: FloatArray) -> tuple[float, float] | None:
    """Means of the first and of the last third; None of fewer than three values."""
    size = len(values) // _THIRDS
    return (float(values[:size].mean()), float(values[-size:].mean())) if size else None


def _shares(bits: NDArray[np.int64]) -> dict[str, float]:
    shares = {name: float(np.mean(bits & bit != 0)) for bit, name in REASONS.items()} if len(bits) else {}
    return dict(sorted(((n, s) for n, s in shares.items() if s), key=lambda item: -item[1]))


def _highest(gpu: _Gpu) -> float | None:
    clocks = gpu.channels.get("sm_clock", np.empty(0))
    return float(np.nanmax(clocks)) if np.isfinite(clocks).any() else None


def _worst(found: Sequence[Conditions]) -> Conditions:
    """Of several GPUs: the slowest clock, the highest temperature, the largest share of each reason."""
    if len(found) == 1:
        return found[0]
    names = {name for one in found for name in one.reasons}
    reasons = {name: max(one.reasons.get(name, 0.0) for one in found) for name in names}
    return Conditions(
        readings=min(one.readings for one in found),
        sm_clock_hz=_least(one.sm_clock_hz for one in found),
        highest_clock_hz=_most(one.highest_clock_hz for one in found),
        clock_drop=_most(one.clock_drop for one in found),
        temperature_max_c=_most(one.temperature_max_c for one in found),
        temperature_rise_c=_most(one.temperature_rise_c for one in found),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        slowed=max(one.slowed for one in found),
        shared=_most(one.shared for one in found),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _least(values: Iterable[float | None]) -> float | None:
    return min((v for v in values if v is not None), default=None)
