"""A run from its first trial to its last: groups built, measured in rounds, every end recorded."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import msgspec

from tensordyno.errors import DynoError, StoreError, WorkerFailure
from tensordyno.models.prepared import load_prepared
from tensordyno.records.messages import ProgressReport
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Trial
from tensordyno.run.contender import Contender, Materials, TrialFailed
from tensordyno.run.contention import SpinReference
from tensordyno.run.failure import Failure, from_error
from tensordyno.run.group import Group
from tensordyno.run.overhead import measure_overhead
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.progress import Progress
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.run.spawn import Worker
from tensordyno.run.watch import Watch
from tensordyno.spec.schema import Spec
from tensordyno.store.writer import RunWriter
from tensordyno.vocabulary import Precision, Task, Verdict


class Session:
    """Runs the trials of a plan that are not done yet and writes every fact as soon as it is known."""

    def __init__(self, spec: Spec, writer: RunWriter, watch: Watch, progress: Progress) -> None:
        self._spec = spec
        self._writer = writer
        self._watch = watch
        self._progress = progress
        self._reference = SpinReference()
        self._models = PreparedModels(writer.folder.logs, spec.limits.build_seconds)
        self._quantized = QuantizedModels(writer.folder.logs, spec.limits.build_seconds)
        self._alive: list[Contender] = []
        self._attempts: Mapping[str, int] = {}
        self._overhead_due = spec.telemetry.overhead and watch.active

    def run(
        self, plan: Plan, done: frozenset[str], attempts: Mapping[str, int], *, overhead_known: bool = False
    ) -> None:
        """Run every trial whose id is not in `done`; `attempts` counts those an earlier session began.

        Raises KeyboardInterrupt or StoreError after the trials in progress have been recorded as
        interrupted and their workers ended.
        """
        self._attempts = attempts
        self._overhead_due &= not overhead_known
        self._progress.planned(plan, len(done))
        waiting = [trial for trial in plan.trials if trial.id not in done]
        try:
            for name, members in groupby(waiting, key=self._group_name):
                self._run_group(name, tuple(members))
        except (KeyboardInterrupt, StoreError) as stop:
            self._give_up(stop)
            raise
        finally:
            for contender in self._alive:
                contender.worker.kill()

    def _group_name(self, trial: Trial) -> str:
        return trial.group if self._spec.interleave and trial.group else trial.id

    def _run_group(self, name: str, trials: Iterable[Trial]) -> None:
        ready: list[
            tuple[Trial, Materials]
        ] = []  # all of them first: no built worker waits for a calibration
        for trial in trials:
            try:
                ready.append((trial, self._materials(trial)))
                self._progress.phase(trial, "waiting to be built")
            except TrialFailed as failed:
                self._end(ended(trial, failed.failure))
        for trial, materials in ready:
            try:
                self._build(trial, materials)
            except TrialFailed as failed:
                self._end(ended(trial, failed.failure))
        self._measure_overhead()
        group = Group(list(self._alive), self._reference, self._progress)
        for contender, outcome in group.rounds(self._spec.seed ^ zlib.crc32(name.encode())):
            self._end_contender(contender, outcome)

    def _materials(self, trial: Trial) -> Materials:
        """The trial's network, prepared and for INT8 calibrated, now or by an earlier trial or run."""
        self._progress.phase(trial, "preparing the network")
        folder = self._models.folder_for(trial)
        if trial.precision is not Precision.INT8 or trial.calibration is None or _has_ranges(folder):
            return Materials(folder)
        self._progress.phase(trial, "calibrating")
        return Materials(folder, *self._quantized.folder_for(trial, folder, self._hear(trial)))

    def _hear(self, trial: Trial) -> Callable[[ProgressReport], None]:
        return lambda report: self._progress.step(trial, report.doing, report.done, report.total)

    def _build(self, trial: Trial, materials: Materials) -> None:
        """A built contender joins the living; one that is over, well or not, is recorded with all it said."""
        self._progress.phase(trial, "building")
        log = self._writer.folder.log_file(trial.id)
        try:
            worker = Worker(log, trial.engine.python, trial.threads, trial.allocator)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error)) from error
        limits = self._spec.limits
        contender = Contender(trial, worker, limits.build_seconds, limits.burst_grace_seconds)
        self._alive.append(contender)
        self._watch.follow({c.worker.pid: c.trial.id for c in self._alive})
        try:
            contender.build(materials, self._hear(trial))
        except TrialFailed as failed:
            self._end_contender(contender, contender.outcome(failed.failure))
            return
        if trial.task is Task.ACCURACY:  # nothing to time: its worker need not wait for the others
            self._end_contender(contender, contender.outcome(Failure(Verdict.VALID, "", "")))
        else:
            self._progress.phase(trial, "built, waiting for its turn")

    def _measure_overhead(self) -> None:
        """Once a run, on the first build that stands and runs in real time."""
        candidates = [c for c in self._alive if c.trial.measurement.clock == "real"]
        if not self._overhead_due or not candidates:
            return
        contender = candidates[0]
        self._progress.note("Measuring what the telemetry itself costs (sampler on, off, on, ...)")
        try:
            overhead = measure_overhead(contender, self._watch, self._reference)
        except TrialFailed as failed:  # another group may still tell
            self._end_contender(contender, contender.outcome(failed.failure))
            return
        self._overhead_due = False
        if overhead:
            self._writer.append(overhead)

    def _end_contender(self, contender: Contender, outcome: Outcome) -> None:
        """Record first: a contender that a full disk keeps from being recorded is still in progress."""
        latencies = contender.latencies_s
        if len(latencies):
            self._writer.save_latencies(outcome.trial.id, latencies)
        if len(contender.answers):
            self._writer.save_answers(outcome.trial.id, contender.answers)
        self._end(outcome)
        self._alive.remove(contender)
        contender.worker.finish()

    def _end(self, outcome: Outcome) -> None:
        outcome = msgspec.structs.replace(outcome, attempt=self._attempts.get(outcome.trial.id, 0) + 1)
        self._writer.append(outcome)
        self._progress.ended(outcome)

    def _give_up(self, stop: BaseException) -> None:
        """Record what was in progress; on a full disk the ballast makes room for it."""
        self._writer.give_up_ballast()
        reason = "Stopped by the user." if isinstance(stop, KeyboardInterrupt) else str(stop)
        slug = getattr(stop, "slug", "interrupted")
        for contender in self._alive:
            with suppress(StoreError):
                self._end(ended(contender.trial, Failure(Verdict.INTERRUPTED, reason, slug)))


def _has_ranges(folder: str) -> bool:
    """Whether a network came as a Q/DQ file: nothing is left to calibrate."""
    try:
        return load_prepared(Path(folder)).facts.quantized
    except DynoError as error:  # somebody emptied the cache just now
        raise TrialFailed(from_error(error)) from error


def ended(trial: Trial, failure: Failure) -> Outcome:
    """The outcome of a trial that never had a worker, or lost all it had."""
    return Outcome(
        trial=trial,
        verdict=failure.verdict,
        reason=failure.reason,
        slug=failure.slug,
        last_words=failure.last_words,
    )
