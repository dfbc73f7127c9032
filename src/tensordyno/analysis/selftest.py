"""The instrument's own errors: what a workload of known cost should give, and what was measured.

The null engine takes a time that is known beforehand, so that every number of its trial can be foretold;
percentiles and energy are checked on data whose answers follow from arithmetic.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from tensordyno.analysis.energy import Meters
from tensordyno.analysis.order_statistics import percentiles
from tensordyno.analysis.scores import Score, kept_bursts
from tensordyno.analysis.summary import flat
from tensordyno.errors import InstrumentError
from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.records.device import IdleWindow
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import Channel
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.store.reader import Run, Series
from tensordyno.vocabulary import Precision, Verdict


class Bounds(Record, frozen=True, kw_only=True):
    """The largest relative errors an instrument may have."""

    throughput: float
    latency: float


FAKE_CLOCK = Bounds(throughput=1e-6, latency=1e-6)  # nothing but rounding
REAL_CLOCK = Bounds(throughput=0.02, latency=0.02)  # a sleeping process wakes a little late
ARITHMETIC = 1e-9
ENERGY = 0.01
CONSISTENCY = 0.02
KNOWN_WORK = 0.05  # best burst against best chunk of a bare stopwatch: two samples of a shared machine


class Finding(Record, frozen=True, kw_only=True):
    """One number of the instrument against what it should be; `error` and `bound` are relative."""

    name: str
    expected: float
    measured: float | None  # None: the instrument gave no number
    error: float | None
    bound: float
    passed: bool


class KnownCost(Record, frozen=True, kw_only=True):
    """What a null trial takes by construction: seconds of a batch, and batches side by side."""

    batch_s: float
    batch_size: int
    depth: int = 1

    @property
    def images_per_s(self) -> float:
        """Throughput that follows."""
        return self.depth * self.batch_size / self.batch_s


def judge(name: str, expected: float, measured: float | None, bound: float) -> Finding:
    """Compare one number; a missing or non-finite one never passes.

    Raises ValueError when the expected value is zero or not finite: it has no relative error.
    """
    if not math.isfinite(expected) or expected == 0:
        raise ValueError(f"{name}: no relative error against {expected}")
    if measured is None or not math.isfinite(measured):
        return Finding(name=name, expected=expected, measured=None, error=None, bound=bound, passed=False)
    error = measured / expected - 1
    passed = abs(error) <= bound
    return Finding(name=name, expected=expected, measured=measured, error=error, bound=bound, passed=passed)


def known_cost(trial: Trial) -> KnownCost:
    """What the null engine was told. Raises ValueError for another engine or a jittering one."""
    options = trial.engine.options
    if trial.engine.name != "null" or options.get("noise"):
        raise ValueError(f"the cost of trial {trial.id} is not known beforehand")
    batch_s = options.get("cost_s", 0.001) + trial.batch_size * options.get("per_image_s", 0.0)
    return KnownCost(batch_s=batch_s, batch_size=trial.batch_size, depth=options.get("depth", 1))


def check_run(run: Run, scores: Iterable[Score]) -> tuple[Finding, ...]:
    """Every finding about the null engine's trials of a run, from clock to public summary."""
    rows = {score.trial: score for score in scores}
    findings: list[Finding] = []
    for outcome in run.outcomes:
        if outcome.trial.engine.options.get("work"):
            continue  # `check_work` judges these against a bare stopwatch
        trial, row = outcome.trial, rows[outcome.trial.id]
        bounds = FAKE_CLOCK if trial.measurement.clock == "fake" else REAL_CLOCK
        cost = known_cost(trial)
        findings += check_time(kept_bursts(outcome), cost, bounds, trial.id)
        findings += check_summary(flat(row), cost, bounds, trial.id)
    return tuple(findings)


def check_time(bursts: Iterable[Burst], cost: KnownCost, bounds: Bounds, label: str) -> tuple[Finding, ...]:
    """Wall-clock time of a batch over all bursts, straight from the facts."""
    kept = list(bursts)
    batches, images = sum(b.batches for b in kept), sum(b.images for b in kept)
    per_batch_s = sum(b.duration_s for b in kept) * cost.depth / batches if batches else None
    per_step = images / batches if batches else None
    return (
        judge(f"{label}: wall-clock time of a batch, s", cost.batch_s, per_batch_s, bounds.throughput),
        judge(f"{label}: images of a batch", cost.batch_size, per_step, ARITHMETIC),
    )


def check_summary(row: Mapping[str, Any], cost: KnownCost, bounds: Bounds, label: str) -> tuple[Finding, ...]:
    """Throughput, latencies and their units as other people's scripts will read them.

    A unit wrong by 1000, or images counted by the batch, breaks the first three; the last compares
    throughput with latency and needs no known cost.
    """
    rate, mean_s = row["images_per_s"], row["latency_mean_s"]
    images_in_flight = rate * mean_s if rate is not None and mean_s is not None else None
    in_flight = cost.depth * cost.batch_size
    return (
        judge(f"{label}: throughput, images/s", cost.images_per_s, rate, bounds.throughput),
        judge(f"{label}: latency p50, s", cost.batch_s, row["latency_p50_s"], bounds.latency),
        judge(f"{label}: latency mean, s", cost.batch_s, mean_s, bounds.latency),
        judge(f"{label}: throughput x latency, images", in_flight, images_in_flight, CONSISTENCY),
    )


def check_work(
    bursts: Iterable[Burst], unit_amount: int, bare_per_s: float, name: str
) -> tuple[Finding, ...]:
    """The best burst's rate of known work, in FLOP/s or bytes/s, against a bare stopwatch's best.

    `unit_amount` is the FLOP or bytes of one batch. The best of both, because neighbours only slow down.
    """
    rates = [b.batches * unit_amount / b.duration_s for b in bursts if b.batches]
    return (judge(name, bare_per_s, max(rates, default=None), KNOWN_WORK),)


def check_percentiles() -> tuple[Finding, ...]:
    """Percentiles of 1, 2, ... 10,000 ms in a shuffled order are known exactly."""
    samples_s = np.random.default_rng(0).permutation(np.arange(1, 10_001)) / 1000
    found = percentiles(samples_s, (50, 90, 99))
    expected = (5.0, 9.0, 9.9)
    return tuple(
        judge(f"latency p{p}, s", e, f.value if f else None, ARITHMETIC)
        for p, e, f in zip((50, 90, 99), expected, found, strict=True)
    )


def check_energy() -> tuple[Finding, ...]:
    """A synthetic power trace, 50 W rising by 1 W/s, read as samples and as a counter.

    From 10 s to 22 s it delivers 12 s x 66 W = 792 J; 24 bursts of 0.5 s run 1000 images each.
    """
    times_s = np.arange(0, 40, 0.1)
    power = Channel(source="selftest", name="power", unit="W", device="cpu0")
    counter = Channel(source="selftest", name="energy", unit="J", device="cpu0", cumulative=True)
    traces = {
        "integral of power": Series(power, times_s, 50 + times_s),
        "energy counter": Series(counter, times_s, 50 * times_s + times_s**2 / 2),
    }
    bursts = [Burst(start_s=10 + i / 2, stop_s=10.5 + i / 2, batches=100, images=1000) for i in range(24)]
    trial = Trial(
        id="selftest", model="none", engine=EngineChoice(name="null"), precision=Precision.FP32, batch_size=10
    )
    findings: list[Finding] = []
    for name, series in traces.items():
        energy = Meters([series]).energy(Outcome(trial=trial, verdict=Verdict.VALID, bursts=tuple(bursts)))
        findings.append(judge(f"{name}, J/image", 792 / 24_000, energy.joules_per_image, ENERGY))
        findings.append(judge(f"{name}, W", 66, energy.power_w, ENERGY))
    return (*findings, *_check_energy_window(trial))


def _check_energy_window(trial: Trial) -> tuple[Finding, ...]:
    """A GPU that draws 100 W, 600 W from 10 s to 16 s while 12,000 images run, and then 100 W again.

    Its counter moves every 100 ms and tells of the step before, its power is read as it is: by both, an
    image takes 6 s x 600 W / 12,000 = 0.3 J, of which 0.05 J are the idle power's.
    """
    times_s = np.arange(0, 30, 0.1)
    steps_s = np.floor(times_s * 10) / 10 - 0.1
    told_j = 100 * steps_s + 500 * np.clip(steps_s - 10, 0, 6)
    drawn_w = np.where((times_s >= 10) & (times_s <= 16), 600.0, 100.0)
    power = Channel(source="selftest", name="power_instant", unit="W", device="gpu0")
    counter = Channel(source="selftest", name="energy", unit="J", device="gpu0", cumulative=True)
    idle = (
        IdleWindow(when="before", start_s=1, stop_s=6),
        IdleWindow(when="after", start_s=20, stop_s=25, cool_down_s=4),
    )
    outcome = Outcome(
        trial=msgspec.structs.replace(trial, device="cuda:0"),
        verdict=Verdict.VALID,
        energy_window=Burst(start_s=10, stop_s=16, batches=1200, images=12_000),
    )
    energy = Meters([Series(power, times_s, drawn_w), Series(counter, times_s, told_j)], idle=idle).energy(
        outcome
    )
    integral = None if energy.disagreement is None else 1 + energy.disagreement
    return (
        judge("energy window, J/image", 0.3, energy.joules_per_image, ENERGY),
        judge("energy window, J/image without idle", 0.25, energy.net_joules_per_image, ENERGY),
        judge("energy window, integral over counter", 1.0, integral, ENERGY),
    )


def require(findings: Iterable[Finding]) -> None:
    """Raise InstrumentError when a finding broke its bound, naming the first."""
    broken = [f for f in findings if not f.passed]
    if broken:
        first = broken[0]
        shown = "nothing" if first.measured is None else f"{first.measured:.6g}"
        more = f" ({len(broken) - 1} more)" if len(broken) > 1 else ""
        raise InstrumentError(
            "selftest-failed",
            f"{first.name}: {shown} measured, {first.expected:.6g} expected, bound {first.bound:.2g}{more}.",
            "Do not trust this installation's numbers here; close other programs and try again.",
        )
