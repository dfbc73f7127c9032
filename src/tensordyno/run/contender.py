"""One trial on its way: its worker, what the worker has said so far, and the outcome it makes."""

from time import monotonic
from typing import NamedTuple, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from tensordyno.clock import RealClock
from tensordyno.errors import StoreError
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.messages import BuildOrder, BuiltReport, BurstOrder, BurstReport, FailureReport
from tensordyno.records.outcome import Outcome, Phase, RankFacts
from tensordyno.records.trial import Rank, Trial
from tensordyno.run.failure import Failure, from_report
from tensordyno.run.joint import joint
from tensordyno.run.team import SLOW_BUILD, Hear, Team, TrialFailed
from tensordyno.store.reader import AnswerArray
from tensordyno.vocabulary import Task, Verdict, WeightsKind

_SLOW_BURST = "Raise limits.burst_grace_seconds if it only needs longer."
_GATHER_S = 0.2  # from the order to the moment at which all ranks begin: time for their probes
_ENERGY_LEAD_S = 1.5  # at full load before the energy window: power sensors average over a second


def give_up(report: FailureReport) -> NoReturn:
    """Raise what a worker that prepares files for many trials gave up for.

    A cache that cannot be written would be the end of every other trial too: StoreError; else TrialFailed.
    """
    if report.error == StoreError.__name__:
        raise StoreError(report.slug, report.sentence, report.remedy)
    raise TrialFailed(from_report(report))


class Materials(NamedTuple):
    """What a trial is built from: its prepared network and, for INT8, the folder of its Q/DQ files."""

    folder: str
    quantized: str = ""
    calibration: CalibrationFacts | None = None


class Contender:
    """A trial with a living team. Every method that talks to its workers may raise TrialFailed."""

    def __init__(self, trial: Trial, team: Team, build_patience_s: float, burst_patience_s: float) -> None:
        self.trial = trial
        self.team = team
        self.spent_s = 0.0  # measuring time used up; warm-up, lost bursts and waiting included
        self.lost_bursts = 0
        self.half_width: float | None = None
        self._build_patience_s = build_patience_s
        self._burst_patience_s = burst_patience_s + trial.measurement.burst_seconds
        # a warm-up that does not settle ends by itself after half of the trial's time
        self._warmup_patience_s = max(trial.measurement.warmup_seconds, trial.measurement.max_seconds / 2)
        self._materials: Materials | None = None
        self._built: BuiltReport | None = None
        self._warmup: Warmup | None = None
        self._bursts: list[Burst] = []
        self._latencies: list[NDArray[np.float64]] = []
        self._answers = table_of(b"")
        self._energy_window: Burst | None = None
        self._phases: tuple[Phase, ...] = ()

    def build(self, materials: Materials, hear: Hear | None = None) -> None:
        """Build and verify; an answer that fails verification ends the trial as INVALID.

        `hear` is told every sign of progress. A trial that only counts right answers is over when this
        returns: INVALID (`no-labels`, `random-weights`) if there was nothing to count.
        """
        self._materials = materials
        deadline = monotonic() + self._build_patience_s
        order = BuildOrder(trial=self.trial, folder=materials.folder, quantized=materials.quantized)
        self.team.ready(self._build_patience_s)
        left_s = max(0.0, deadline - monotonic())
        builds = self.team.ask_in_turn(order, BuiltReport, left_s, SLOW_BUILD, hear)
        self._built = builds[0]
        self._phases = tuple(phase for build in builds for phase in build.phases)  # one rank after the other
        wrong = [b.verification.reason for b in builds if not b.verification.passed]
        if wrong:
            raise TrialFailed(Failure(Verdict.INVALID, wrong[0], "verification-failed"))
        self._answers = table_of(self._built.answers)
        if self.trial.task is Task.ACCURACY and not len(self._answers):
            raise TrialFailed(_nothing_counted(self.trial, self._built))

    def measure(self, spin_rate: float | None) -> BurstReport:
        """One burst of the trial. Its samples are kept, contended or not; numbers leave those out."""
        report = self._burst(BurstOrder(spin_rate=spin_rate))
        self.spent_s += report.burst.duration_s
        self._bursts.append(report.burst)
        self._latencies.append(np.array(report.latencies_s))
        self.half_width = report.half_width
        self.lost_bursts += report.burst.contended
        return report

    def rehearse(self, spin_rate: float | None) -> BurstReport:
        """One burst that is no part of the trial."""
        return self._burst(BurstOrder(spin_rate=spin_rate, rehearsal=True))

    def measure_energy(self, window_s: float) -> None:
        """One unbroken burst of `window_s` seconds at full load, for the energy only."""
        order = BurstOrder(rehearsal=True, duration_s=window_s, lead_s=_ENERGY_LEAD_S)
        self._energy_window = self._burst(order).burst

    def built_choices(self) -> dict[str, str]:
        """What the engine decided for itself; empty before it is built."""
        return self._built.built.choices if self._built else {}

    @property
    def kept_bursts(self) -> int:
        """Bursts that count."""
        return len(self._bursts) - self.lost_bursts

    @property
    def latencies_s(self) -> NDArray[np.float64]:
        """Latency of every batch so far, in seconds, burst after burst."""
        return np.concatenate(self._latencies) if self._latencies else np.empty(0)

    @property
    def answers(self) -> AnswerArray:
        """What the build answered to labelled images, int32 (images, 3) as in `store.layout`."""
        return self._answers

    def outcome(self, failure: Failure) -> Outcome:
        """Everything known about the trial, with its verdict."""
        ready, built = next(iter(self.team.readies), None), self._built
        known = self._materials.calibration if self._materials else None
        return Outcome(
            trial=self.trial,
            verdict=failure.verdict,
            reason=failure.reason,
            slug=failure.slug,
            model=built.model if built else None,
            receipt=ready.receipt if ready else None,
            process=ready.process if ready else None,
            built=built.built if built else None,
            calibration=known or (built.calibration if built else None),
            verification=built.verification if built else None,
            accuracy=built.accuracy if built else None,
            warmup=self._warmup,
            bursts=tuple(self._bursts),
            phases=(*self._phases, *self._measuring_phases()),
            ranks=self._rank_facts(),
            energy_window=self._energy_window,
            shortage=failure.shortage,
            last_words=failure.last_words,
        )

    def _burst(self, order: BurstOrder) -> BurstReport:
        """Order a burst of all ranks; the first one warms up before it, each rank for as long as it needs."""
        if self.team.size > 1 and self._warmup is None:
            self._joint(BurstOrder(rehearsal=True))
        if self.team.size > 1:
            order = msgspec.structs.replace(order, begin_s=RealClock.now() + _GATHER_S)
        return self._joint(order)

    def _joint(self, order: BurstOrder) -> BurstReport:
        patience_s = self._burst_patience_s + (0.0 if self._warmup else self._warmup_patience_s)
        patience_s += (order.duration_s or 0.0) + order.lead_s
        report = joint(self.team.ask(order, BurstReport, patience_s, _SLOW_BURST))
        if report.warmup:
            self._warmup = report.warmup
            self.spent_s += report.warmup.stop_s - report.warmup.start_s
        return report

    def _measuring_phases(self) -> list[Phase]:
        phases = []
        if self._warmup:
            phases.append(Phase(name="warm-up", start_s=self._warmup.start_s, stop_s=self._warmup.stop_s))
        phases += [Phase(name="measure", start_s=b.start_s, stop_s=b.stop_s) for b in self._bursts]
        return phases

    def _rank_facts(self) -> tuple[RankFacts, ...]:
        if self.team.size == 1:
            return ()
        return tuple(
            RankFacts(
                index=i,
                device=Rank(index=i, size=self.team.size).device_of(self.trial),
                name=ready.receipt.device,
                pid=ready.process.pid,
                affinity=ready.process.affinity,
            )
            for i, ready in enumerate(self.team.readies)
        )


def table_of(answers: bytes) -> AnswerArray:
    """The rows of a report: label, first class, rank of the label; int32 (images, 3).

    Raises TrialFailed for bytes that are no such table.
    """
    try:
        return np.frombuffer(answers, dtype="<i4").astype(np.int32).reshape(-1, 3)
    except ValueError as wrong:
        sentence = f"The worker's answers are no table: {wrong}."
        raise TrialFailed(Failure(Verdict.CRASHED, sentence, "broken-conversation")) from wrong


def _nothing_counted(trial: Trial, built: BuiltReport) -> Failure:
    """Why a trial of the task accuracy has no answers."""
    if built.model.weights is WeightsKind.RANDOM:
        sentence = f"{trial.model} has random weights: it has no right answers. Type: --weights FILE"
        return Failure(Verdict.INVALID, sentence, "random-weights")
    sentence = f"{trial.dataset} has no labels: right answers cannot be counted. Type: --data LABELLED_IMAGES"
    return Failure(Verdict.INVALID, sentence, "no-labels")
