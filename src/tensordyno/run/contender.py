"""One trial on its way: its worker, what the worker has said so far, and the outcome it makes."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import StoreError, WorkerFailure
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.messages import (
    BuildOrder,
    BuiltReport,
    BurstOrder,
    BurstReport,
    FailureReport,
    ProgressReport,
    ReadyReport,
    Report,
)
from tensordyno.records.outcome import Outcome, Phase
from tensordyno.records.trial import Trial
from tensordyno.run.failure import Failure, from_error, from_report, oom_kills
from tensordyno.run.spawn import Worker
from tensordyno.store.reader import AnswerArray
from tensordyno.vocabulary import Task, Verdict, WeightsKind

R = TypeVar("R", bound=Report)

_SLOW_BUILD = "Raise limits.build_seconds if it only needs longer."
_SLOW_BURST = "Raise limits.burst_grace_seconds if it only needs longer."


class TrialFailed(Exception):
    """The trial is over; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


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
    """A trial with a living worker. Every method that talks to the worker may raise TrialFailed."""

    def __init__(
        self, trial: Trial, worker: Worker, build_patience_s: float, burst_patience_s: float
    ) -> None:
        self.trial = trial
        self.worker = worker
        self.spent_s = 0.0  # measuring time used up; warm-up, lost bursts and waiting included
        self.lost_bursts = 0
        self.half_width: float | None = None
        self._build_patience_s = build_patience_s
        self._burst_patience_s = burst_patience_s + trial.measurement.burst_seconds
        # a warm-up that does not settle ends by itself after half of the trial's time
        self._warmup_patience_s = max(trial.measurement.warmup_seconds, trial.measurement.max_seconds / 2)
        self._oom_kills = oom_kills()
        self._materials: Materials | None = None
        self._ready: ReadyReport | None = None
        self._built: BuiltReport | None = None
        self._warmup: Warmup | None = None
        self._bursts: list[Burst] = []
        self._latencies: list[NDArray[np.float64]] = []
        self._answers = table_of(b"")
        self._phases: list[Phase] = []

    def build(self, materials: Materials, hear: Callable[[ProgressReport], None] | None = None) -> None:
        """Build and verify; an answer that fails verification ends the trial as INVALID.

        `hear` is told every sign of progress. A trial that only counts right answers is over when this
        returns: INVALID (`no-labels`, `random-weights`) if there was nothing to count.
        """
        self._materials = materials
        deadline = monotonic() + self._build_patience_s
        order = BuildOrder(trial=self.trial, folder=materials.folder, quantized=materials.quantized)
        self.worker.order(order)
        self._ready = self._expect(ReadyReport, self._build_patience_s, _SLOW_BUILD, hear)
        self._built = self._expect(BuiltReport, max(0.0, deadline - monotonic()), _SLOW_BUILD, hear)
        verification = self._built.verification
        if not verification.passed:
            raise TrialFailed(Failure(Verdict.INVALID, verification.reason, "verification-failed"))
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
        ready, built = self._ready, self._built
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
            phases=(*(built.phases if built else ()), *self._measuring_phases()),
            last_words=failure.last_words,
        )

    def _burst(self, order: BurstOrder) -> BurstReport:
        """Order a burst; the first one of a worker warms up before it."""
        patience_s = self._burst_patience_s + (0.0 if self._warmup else self._warmup_patience_s)
        self.worker.order(order)
        report = self._expect(BurstReport, patience_s, _SLOW_BURST)
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

    def _expect(
        self,
        kind: type[R],
        patience_s: float,
        remedy: str,
        hear: Callable[[ProgressReport], None] | None = None,
    ) -> R:
        """The worker's next report but for signs of progress, each of which earns it new patience."""
        try:
            while isinstance(report := self.worker.await_report(patience_s, remedy), ProgressReport):
                if hear:
                    hear(report)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, self._oom_kills)) from error
        if isinstance(report, FailureReport):
            raise TrialFailed(from_report(report))
        if not isinstance(report, kind):
            sentence = f"The worker answered '{type(report).__name__}' where '{kind.__name__}' was due."
            raise TrialFailed(Failure(Verdict.CRASHED, sentence, "broken-conversation"))
        return report


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
