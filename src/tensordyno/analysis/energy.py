"""Energy of a trial: of its energy window where it has one, else of its kept bursts.

By counter difference where a counter exists, else by the integral of power. Never zero for unknown: every
way of not knowing is an `unavailable: reason`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
import numpy as np

from tensordyno.analysis.gpu_numbers import gpu_labels, gpus_of
from tensordyno.analysis.idle import IdlePower, idle_power
from tensordyno.analysis.meters import FEWEST_UPDATES, Meter, counters, integrals, kind
from tensordyno.analysis.ratio import is_kept
from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.records.device import IdleWindow
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import DeviceFacts, Unavailable
from tensordyno.store.reader import Run, Series

FEWEST_SECONDS = 5.0
_SENSOR = {"cpu": "rapl", "gpu": "nvml"}


class Energy(Record, frozen=True, kw_only=True):
    """Energy of the time that telemetry resolves. Joules, watts, seconds; None means unknown."""

    joules_per_image: float | None = None
    power_w: float | None = None  # mean over that time
    method: str  # counter, integral, or "unavailable: reason"; ", /0.9 regulator" behind it
    window_s: float = 0.0
    images: int = 0
    disagreement: float | None = None  # integral of power over the counter's difference, minus 1
    idle_power_w: float | None = None
    cpu_joules_per_image: float | None = None  # of the CPU packages beside a GPU
    power_limit_w: float | None = None

    @property
    def net_joules_per_image(self) -> float | None:
        """Without what the devices draw when idle."""
        if self.joules_per_image is None or not self.power_w or self.idle_power_w is None:
            return None
        return self.joules_per_image * (1 - self.idle_power_w / self.power_w)

    def fields(self) -> dict[str, Any]:
        """Those of a Score."""
        joules = self.joules_per_image
        return {
            "joules_per_image": joules,
            "power_w": self.power_w,
            "energy_method": self.method,
            "energy_window_s": self.window_s or None,
            "energy_disagreement": self.disagreement,
            "idle_power_w": self.idle_power_w,
            "net_joules_per_image": self.net_joules_per_image,
            "images_per_joule": 1 / joules if joules else None,
            "cpu_joules_per_image": self.cpu_joules_per_image,
            "power_limit_w": self.power_limit_w,
        }


class Meters:
    """Every energy meter of a run, made ready once and asked by each trial."""

    def __init__(
        self,
        series: Iterable[Series],
        unavailable: Sequence[Unavailable] = (),
        devices: Sequence[DeviceFacts] = (),
        idle: Sequence[IdleWindow] = (),
        regulator_efficiency: float = 1.0,
    ) -> None:
        series = list(series)
        self._reasons = _reasons(unavailable)
        self._labels = gpu_labels(devices)
        self._efficiency = regulator_efficiency
        counted, integrated = counters(series), integrals(series)
        kinds = {kind(m.device) for m in counted}
        self._meters = counted + [m for m in integrated if kind(m.device) not in kinds]
        self._beside = {(m.source, m.device): m for m in integrated}
        self._idle = {m.device: idle_power(m, idle) for m in self._meters}
        self._limits = {s.channel.device: _last(s) for s in series if s.channel.name == "power_limit"}

    @classmethod
    def of(cls, run: Run) -> Self:
        """The meters of a stored run."""
        header = run.header
        return cls(run.series, run.unavailable, run.devices, run.idle, header.regulator_efficiency)

    @property
    def idle(self) -> tuple[IdlePower, ...]:
        """What each device drew when the run left it alone."""
        return tuple(self._idle.values())

    def energy(self, outcome: Outcome) -> Energy:
        """Energy of a trial on the devices it ran on."""
        wanted, reason = self._of_devices(outcome)
        if reason:
            return _unavailable(reason)
        found = self._measured(outcome, wanted)
        if found.joules_per_image is None:  # the limit that was set is known all the same
            return msgspec.structs.replace(found, power_limit_w=self._limit_of(wanted))
        return self._with_conditions(self._before_regulator(found), outcome, wanted)

    def _measured(self, outcome: Outcome, wanted: Sequence[Meter]) -> Energy:
        window = outcome.energy_window
        if window is not None and window.images and window.duration_s >= FEWEST_SECONDS:
            return self._of_window(wanted, window)
        return _of_bursts(wanted, [b for b in outcome.bursts if is_kept(b)])

    def _of_window(self, wanted: Sequence[Meter], window: Burst) -> Energy:
        """Mean power while all ranks ran, over their throughput."""
        span = _overlap(window)
        steady = [meter.steady_power(*span) for meter in wanted]
        reason = next((s.reason for s in steady if s.reason), "")
        if reason:
            return _unavailable(reason)
        power_w = sum(s.power_w for s in steady)
        return Energy(
            joules_per_image=power_w * window.duration_s / window.images,
            power_w=power_w,
            method=wanted[0].method,
            window_s=window.duration_s,
            images=window.images,
            disagreement=self._disagreement(wanted, span),
        )

    def _disagreement(self, wanted: Sequence[Meter], span: tuple[float, float]) -> float | None:
        """None without a counter and a power sensor of the same source on each device."""
        counted_w = integrated_w = 0.0
        for meter in wanted:
            beside = self._beside.get((meter.source, meter.device))
            if beside is None or meter.method != "counter":
                return None
            lead_s = max(meter.settles_s, beside.settles_s)
            counter, integral = meter.steady_power(*span, lead_s), beside.steady_power(*span, lead_s)
            if counter.reason or integral.reason:
                return None
            counted_w += counter.power_w
            integrated_w += integral.power_w
        return integrated_w / counted_w - 1 if counted_w else None

    def _before_regulator(self, found: Energy) -> Energy:
        """What went into a voltage regulator whose output the sensor saw.

        NVIDIA, "GPU-Based Deep Learning Inference", November 2015: Jetson TX1's power.
        """
        if self._efficiency == 1.0 or found.joules_per_image is None or found.power_w is None:
            return found
        return msgspec.structs.replace(
            found,
            joules_per_image=found.joules_per_image / self._efficiency,
            power_w=found.power_w / self._efficiency,
            method=f"{found.method}, /{self._efficiency:g} regulator",
        )

    def _with_conditions(self, found: Energy, outcome: Outcome, wanted: Sequence[Meter]) -> Energy:
        idle = [self._idle[meter.device].mean_w for meter in wanted]
        idle_w = _sum(idle)
        return msgspec.structs.replace(
            found,
            idle_power_w=None if idle_w is None else idle_w / self._efficiency,
            cpu_joules_per_image=self._cpu_beside(outcome),
            power_limit_w=self._limit_of(wanted),
        )

    def _limit_of(self, wanted: Sequence[Meter]) -> float | None:
        return _sum([self._limits.get(meter.device) for meter in wanted])

    def _cpu_beside(self, outcome: Outcome) -> float | None:
        packages = [m for m in self._meters if m.method == "counter" and kind(m.device) == "cpu"]
        if not packages or not outcome.trial.device.startswith("cuda"):
            return None
        return self._measured(outcome, packages).joules_per_image

    def _of_devices(self, outcome: Outcome) -> tuple[list[Meter], str]:
        """The meters of a trial's devices, or the reason why there are none."""
        trial = outcome.trial
        asked = "gpu" if trial.device.startswith("cuda") else trial.device
        found = [m for m in self._meters if kind(m.device) == asked]
        if found and asked == "gpu":
            names, reason = gpus_of(outcome, self._labels)
            if reason:
                return [], reason
            by_name = {m.device: m for m in found}
            missing = [name for name in names if name not in by_name]
            if missing:
                return [], f"no energy sensor of {', '.join(missing)}"
            found = [by_name[name] for name in names]
        if found:
            return found, ""
        return [], self._reasons.get(_SENSOR.get(asked, ""), f"no energy or power sensor of {trial.device}")


def _reasons(unavailable: Sequence[Unavailable]) -> dict[str, str]:
    """Why a whole source is missing; what single GPUs lack ("gpu0: ...") is no reason for that."""
    return {u.source: u.reason for u in unavailable if not re.match(r"gpu\d+: ", u.reason)}


def _unavailable(reason: str) -> Energy:
    return Energy(method=f"unavailable: {reason}")


def _overlap(window: Burst) -> tuple[float, float]:
    """When every rank was at work."""
    parts = window.ranks or (window,)
    return max(part.start_s for part in parts), min(part.stop_s for part in parts)


def _of_bursts(wanted: Sequence[Meter], bursts: Sequence[Burst]) -> Energy:
    """The bursts that the readings resolve; the others are left out together with their images."""
    if not bursts:
        return _unavailable("nothing was measured")
    measured = [meter.between(np.array([(b.start_s, b.stop_s) for b in bursts])) for meter in wanted]
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


def _sum(values: Sequence[float | None]) -> float | None:
    """None when one is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _last(series: Series) -> float | None:
    known = series.values[np.isfinite(series.values)]
    return float(known[-1]) if len(known) else None
