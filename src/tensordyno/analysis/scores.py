"""One trial's numbers, derived from its facts: the flat row that tables, figures and scripts read."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tensordyno.analysis.against_fp32 import Against, Fp32Builds
from tensordyno.analysis.energy import Energy, Meters
from tensordyno.analysis.gpu_conditions import GpuReadings
from tensordyno.analysis.order_statistics import percentiles
from tensordyno.analysis.proportions import wilson
from tensordyno.analysis.ratio import is_kept
from tensordyno.analysis.roofline import roofline, roofs
from tensordyno.analysis.scaling import scaling
from tensordyno.errors import StoreError
from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Skip, Trial
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval, throughput_interval
from tensordyno.vocabulary import Precision, Task, Verdict

__all__ = ["Interval", "Score", "kept_bursts", "kept_latencies", "score", "scores"]

FloatArray = NDArray[np.float64]


class Score(Record, frozen=True, kw_only=True):
    """One trial, flat. None means unknown or refused, never zero. Times in seconds, energy in joules."""

    trial: str
    task: str
    model: str
    engine: str  # label with options
    engine_name: str  # without options: decides the colour
    precision: str
    batch_size: int
    devices: int
    nodes: int
    boundary: str
    device: str
    dataset: str
    verdict: Verdict
    reason: str = ""
    slug: str = ""
    weights: str = ""  # random, packaged, checkpoint, embedded
    images_per_s: Interval | None = None  # bare value, no interval, with fewer than 3 kept bursts
    latency_p50_s: Interval | None = None
    latency_p90_s: Interval | None = None
    latency_p99_s: Interval | None = None  # None when there are too few samples to claim it
    latency_mean_s: float | None = None
    latency_worst_s: float | None = None
    batches: int = 0  # kept
    measured_s: float = 0.0  # kept
    contended_bursts: int = 0  # repeated and left out
    bursts: int = 0  # kept
    top1: Interval | None = None
    top5: Interval | None = None
    accuracy_images: int = 0
    unreadable_images: int = 0  # left out of them, as asked
    verified: bool | None = None  # against the strict FP32 reference; None when it never came to that
    sqnr_db: float | None = None
    cosine: float | None = None
    top1_agreement: float | None = None
    time_to_first_inference_s: float | None = None
    import_s: float | None = None
    load_s: float | None = None
    compile_s: float | None = None
    first_inference_s: float | None = None
    peak_rss_bytes: int | None = None
    gmacs: float | None = None  # of one image
    parameters: int | None = None
    joules_per_image: float | None = None
    energy_method: str = "unavailable"  # counter, integral, or "unavailable: reason"
    power_w: float | None = None
    threads: int | None = None
    allocator: str = "default"
    engine_version: str = ""
    choices: str = ""  # layout, streams: what the engine decided
    group: str = ""
    calibration_images: int | None = None  # read for INT8; None for other number formats
    calibration_batch: int | None = None  # images read at a time
    calibration_method: str = ""  # the one used, never "auto"
    calibration_seed: int | None = None  # which images were drawn; 0: the first ones
    calibration_reused: bool | None = None  # the table came from the cache
    int8_layers: int | None = None  # with weights, by the engine's own account; None: it cannot tell
    float_layers: int | None = None  # with weights, in any other number format, by the same account
    fp32_kept: int | None = None  # layers with weights that the calibration left in FP32
    fp32_trial: str = ""  # the FP32 build of the same network whose answers the next four are about
    top1_difference: Interval | None = None  # ours minus FP32's on the same images, as fractions
    top5_difference: Interval | None = None
    top1_p_value: float | None = None  # that both are right equally often (mid-p McNemar)
    fp32_agreement: float | None = None  # of labelled images with the same first class as FP32
    device_name: str = ""  # the device's own: "NVIDIA H200"
    device_latency_mean_s: float | None = None  # of a batch, by events on the device's own clock
    peak_device_bytes: int | None = None  # of device memory, until the first inference
    asked_bytes: int | None = None  # by the allocation that failed, when memory ran out
    images_per_s_per_device: tuple[float, ...] = ()  # of each rank; empty for a single device
    speedup: Interval | None = None  # over the same build on one device
    scaling_efficiency: Interval | None = None  # speedup over devices
    device_spread: float | None = None  # fastest over slowest rank, minus 1
    sustained_images_per_s: float | None = (
        None  # of the unbroken energy window: after the power cap has bitten
    )
    energy_window_s: float | None = None  # time that the energy stands for
    energy_disagreement: float | None = None  # integral of power over the counter's difference, minus 1
    idle_power_w: float | None = None  # of the trial's devices, all together
    net_joules_per_image: float | None = None  # without what they draw when idle
    images_per_joule: float | None = None  # which is images/s/W
    cpu_joules_per_image: float | None = None  # of the CPU packages beside a GPU (RAPL)
    power_limit_w: float | None = None  # of the trial's devices, all together
    sm_clock_hz: float | None = None  # mean over the kept bursts
    temperature_max_c: float | None = None
    throttled: str = ""  # reasons seen during the kept bursts, "sw power cap 84 %"
    operations_per_s: float | None = None  # 2 x multiply-accumulates x images/s
    intensity: float | None = None  # operations a byte, if each layer reads and writes memory once
    peak_share: float | None = None  # of the vendor's figure for this precision
    ceiling_share: float | None = None  # of the matrix product measured in this run

    @property
    def is_timed(self) -> bool:
        """Whether a throughput exists that a reader may look at; right answers alone take no time."""
        return self.verdict.is_measured and self.task != Task.ACCURACY


def kept_bursts(outcome: Outcome) -> tuple[Burst, ...]:
    """The bursts every number is made of: uncontended, with at least one batch."""
    return tuple(b for b in outcome.bursts if is_kept(b))


def score(
    outcome: Outcome, latencies_s: FloatArray, energy: Energy | None = None, against: Against | None = None
) -> Score:
    """One trial's numbers from its outcome and its sample file (seconds, burst after burst).

    `against` compares its answers with those of an FP32 build.

    Raises StoreError when the file holds another number of latencies than the bursts.
    """
    bursts = kept_bursts(outcome)
    return Score(
        **_identity(outcome.trial),
        verdict=outcome.verdict,
        reason=outcome.reason,
        slug=outcome.slug,
        images_per_s=throughput_interval([b.images for b in bursts], [b.duration_s for b in bursts]),
        batches=sum(b.batches for b in bursts),
        measured_s=math.fsum(b.duration_s for b in bursts),
        contended_bursts=sum(b.contended for b in outcome.bursts),
        bursts=len(bursts),
        **_latencies(kept_latencies(outcome, latencies_s)),
        device_latency_mean_s=_device_latency(bursts),
        sustained_images_per_s=_sustained(outcome.energy_window),
        asked_bytes=outcome.shortage.asked_bytes if outcome.shortage else None,
        **_accuracy(outcome),
        **_build(outcome),
        **_energy(energy),
        **_calibration(outcome),
        **_against(against),
    )


def scores(run: Run) -> tuple[Score, ...]:
    """Every trial of a run in plan order, then the combinations that were planned away.

    Raises StoreError for a sample file that is broken or does not fit its bursts, and for broken answers.
    """
    meters, builds = Meters.of(run), Fp32Builds(run)
    rows = [
        score(
            outcome,
            run.latencies_s(outcome.trial.id),
            meters.energy(outcome),
            builds.against(outcome),
        )
        for outcome in run.outcomes
    ]
    gpus, several = GpuReadings(run), scaling(run)
    rows = [replace(row, **gpus.fields(o)) for row, o in zip(rows, run.outcomes, strict=True)]
    above = roofs(run.pages)
    rows = [replace(row, **roofline(o, _rate(row), above)) for row, o in zip(rows, run.outcomes, strict=True)]
    rows = [replace(row, **several[row.trial]) if row.trial in several else row for row in rows]
    return (*rows, *(_skipped(skip) for skip in run.skips))


def _rate(row: Score) -> float | None:
    return row.images_per_s.value if row.images_per_s else None


def _skipped(skip: Skip) -> Score:
    return Score(**_identity(skip.trial), verdict=Verdict.SKIPPED, reason=skip.reason)


def _identity(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "task": trial.task.value,
        "model": trial.model,
        "engine": trial.engine.label,
        "engine_name": trial.engine.name,
        "precision": trial.precision.value,
        "batch_size": trial.batch_size,
        "devices": trial.devices,
        "nodes": trial.nodes,
        "boundary": trial.boundary.value,
        "device": trial.device,
        "dataset": trial.dataset,
        "allocator": trial.allocator,
        "group": trial.group,
    }


def kept_latencies(outcome: Outcome, latencies_s: FloatArray) -> FloatArray:
    """Latencies of the kept bursts; the file holds those of the contended ones too.

    Without bursts the file, if there is one, is an earlier attempt's.
    """
    counts = [b.batches for b in outcome.bursts]
    if not counts:
        return np.empty(0)
    if sum(counts) != len(latencies_s):
        raise StoreError(
            "broken-samples",
            f"Trial {outcome.trial.id}: {len(latencies_s)} latencies are stored, its bursts "
            f"ran {sum(counts)} batches.",
            "Restore samples/ from a copy, or measure the trial again in a new run.",
        )
    if not any(b.contended for b in outcome.bursts):
        return latencies_s
    kept: FloatArray = latencies_s[np.repeat([not b.contended for b in outcome.bursts], counts)]
    return kept


def _latencies(latencies_s: FloatArray) -> dict[str, Any]:
    if not len(latencies_s):
        return {}
    p50, p90, p99 = percentiles(latencies_s, (50, 90, 99))
    return {
        "latency_p50_s": p50,
        "latency_p90_s": p90,
        "latency_p99_s": p99,
        "latency_mean_s": float(latencies_s.mean()),
        "latency_worst_s": float(latencies_s.max()),
    }


def _sustained(window: Burst | None) -> float | None:
    """Throughput over the energy window; None without one."""
    return window.images / window.duration_s if window and window.images else None


def _device_latency(bursts: Sequence[Burst]) -> float | None:
    """Mean time of a batch on the device's own clock; None where a burst has none."""
    times = [burst.device_s for burst in bursts]
    known = [time for time in times if time is not None]
    return math.fsum(known) / sum(b.batches for b in bursts) if known and len(known) == len(times) else None


def _accuracy(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if outcome.accuracy:
        images = outcome.accuracy.images
        found["top1"] = wilson(outcome.accuracy.top1_correct, images)
        found["top5"] = wilson(outcome.accuracy.top5_correct, images)
        found["accuracy_images"] = images
        found["unreadable_images"] = outcome.accuracy.unreadable
    if outcome.verification:
        found["verified"] = outcome.verification.passed
        found["sqnr_db"] = outcome.verification.sqnr_db
        found["cosine"] = outcome.verification.cosine
        found["top1_agreement"] = outcome.verification.top1_agreement
    return found


def _build(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if model := outcome.model:
        found |= {"weights": model.weights.value, "parameters": model.parameters, "gmacs": model.macs / 1e9}
    if receipt := outcome.receipt:
        found |= {"engine_version": receipt.version, "threads": receipt.threads}
        found["device_name"] = receipt.device
    if outcome.process and found.get("threads") is None:
        found["threads"] = outcome.process.threads
    if built := outcome.built:
        times = ("time_to_first_inference_s", "import_s", "load_s", "compile_s", "first_inference_s")
        found |= {name: getattr(built, name) for name in times}
        found["peak_rss_bytes"] = built.peak_rss_bytes or None
        found["peak_device_bytes"] = built.peak_device_bytes
        found["choices"] = ", ".join(f"{k}={v}" for k, v in sorted(built.choices.items()))
        if built.arithmetic:
            found["int8_layers"] = built.arithmetic.get(Precision.INT8, 0)
            found["float_layers"] = sum(built.arithmetic.values()) - found["int8_layers"]
    return found


def _calibration(outcome: Outcome) -> dict[str, Any]:
    facts = outcome.calibration
    if facts is None:
        return {}
    return {
        "calibration_images": facts.images,
        "calibration_batch": facts.batch_size,
        "calibration_method": facts.method,
        "calibration_seed": facts.seed,
        "calibration_reused": facts.reused,
        "fp32_kept": len(facts.fp32_layers),
    }


def _against(against: Against | None) -> dict[str, Any]:
    if against is None:
        return {}
    return {
        "fp32_trial": against.trial,
        "top1_difference": against.paired.difference,
        "top5_difference": against.paired.top5_difference,
        "top1_p_value": against.paired.p_value,
        "fp32_agreement": against.paired.agreement,
    }


def _energy(energy: Energy | None) -> dict[str, Any]:
    return {} if energy is None else energy.fields()
