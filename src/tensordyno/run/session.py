"""A run from its first trial to its last: groups built, measured in rounds, every end recorded."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import msgspec

from tensordyno.clock import RealClock
from tensordyno.device import device_kind
from tensordyno.errors import DynoError, StoreError
from tensordyno.models.prepared import load_prepared
from tensordyno.records.memory import LargestBatch
from tensordyno.records.messages import ProgressReport
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Rank, Trial
from tensordyno.run.contender import Contender, Materials
from tensordyno.run.contention import SpinReference
from tensordyno.run.device_pages import device_page
from tensordyno.run.failure import Failure, from_error
from tensordyno.run.group import Group
from tensordyno.run.idle import IdleWatch
from tensordyno.run.launched import from_environment
from tensordyno.run.overhead import measure_overhead
from tensordyno.run.pool import Pool, log_of
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.progress import Progress
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.run.spawn import Worker
from tensordyno.run.sweep import Sweep
from tensordyno.run.team import Team, TrialFailed, threads_of
from tensordyno.run.watch import Watch
from tensordyno.spec.schema import Spec
from tensordyno.store.writer import RunWriter
from tensordyno.vocabulary import Precision, Task, Verdict

Ready = tuple[Trial, Materials]


class Session:
    """Runs the trials of a plan that are not done yet and writes every fact as soon as it is known."""

    def __init__(self, spec: Spec, writer: RunWriter, watch: Watch, progress: Progress) -> None:
        self._spec = spec
        self._writer = writer
        self._watch = watch
        self._progress = progress
        self._references: dict[tuple[str, int], SpinReference] = {}  # by kind and number of devices
        self._models = PreparedModels(writer.folder.logs, spec.limits.build_seconds)
        self._quantized = QuantizedModels(writer.folder.logs, spec.limits.build_seconds)
        self._pool = Pool(self._new_team, ())
        self._sweep = Sweep()
        self._alive: list[Contender] = []
        self._to_repeat: list[Ready] = []  # ran out of memory while others held some
        self._attempts: Mapping[str, int] = {}
        self._overhead_due = spec.telemetry.overhead and watch.active

    def run(
        self,
        plan: Plan,
        done: Sequence[Outcome],
        attempts: Mapping[str, int],
        *,
        overhead_known: bool = False,
        largest_known: Sequence[LargestBatch] = (),
    ) -> None:
        """Run every trial without an outcome in `done`; `attempts` counts those an earlier session began.

        What else earlier sessions found, the cost of telemetry and largest batches, is not sought again.

        Raises KeyboardInterrupt or StoreError after the trials in progress have been recorded as
        interrupted and their workers ended.
        """
        self._attempts = attempts
        self._overhead_due &= not overhead_known
        self._progress.planned(plan, len(done))
        over = {outcome.trial.id for outcome in done}
        waiting = [trial for trial in plan.trials if trial.id not in over]
        self._pool = Pool(self._new_team, waiting)
        self._sweep = Sweep(done, largest_known)
        idle = IdleWatch(waiting if self._watch.active else (), RealClock())
        try:
            self._before(waiting, idle)
            for name, members in groupby(waiting, key=self._group_name):
                self._run_group(name, tuple(members))
            self._pool.close()
            self._find_largest()
            if idle.wanted:
                self._progress.note("Watching the devices cool down and idle")
                self._writer.append(idle.after())
        except (KeyboardInterrupt, StoreError) as stop:
            self._give_up(stop)
            raise
        finally:
            self._pool.close(now=True)
            for contender in self._alive:
                contender.team.kill()

    def _before(self, waiting: Sequence[Trial], idle: IdleWatch) -> None:
        """What must be known of the devices while they are at rest."""
        self._models.prepare_ahead(waiting)
        if idle.wanted:
            self._progress.note("Watching the devices idle")
            self._writer.append(idle.before())
        measured: set[str] = set()  # one GPU of a kind stands for the others
        for device in gpus_of(waiting) if self._spec.ceilings else ():
            self._progress.note(f"Reading and measuring {device}")
            page = device_page(device, self._writer.folder.logs, lambda name: name not in measured)
            measured.add(page.name)
            self._writer.append(page)

    def _group_name(self, trial: Trial) -> str:
        return trial.group if self._spec.interleave and trial.group else trial.id

    def _run_group(self, name: str, trials: Sequence[Trial]) -> None:
        ready: list[Ready] = []  # all of them first: no built worker waits for a calibration
        for trial in trials:
            try:
                if reason := self._sweep.hopeless(trial):
                    raise TrialFailed(Failure(Verdict.SKIPPED, reason, "larger-than-memory"))
                ready.append((trial, self._materials(trial)))
                self._progress.phase(trial, "waiting to be built")
            except TrialFailed as failed:
                self._pool.forget(trial)
                self._end(ended(trial, failed.failure))
        seed = self._spec.seed ^ zlib.crc32(name.encode())
        self._race(ready, seed)
        while self._to_repeat:
            self._pool.close()  # those who wait for another batch size hold memory too
            self._race([self._to_repeat.pop()], seed)

    def _race(self, ready: Sequence[Ready], seed: int) -> None:
        """Build and measure these trials side by side."""
        for i, (trial, materials) in enumerate(ready):
            self._pool.begin((t, m.folder) for t, m in ready[i:])
            try:
                self._build(trial, materials, is_alone=len(ready) == 1)
            except TrialFailed as failed:
                self._end(ended(trial, failed.failure))
        self._measure_overhead()
        found = {trial.id: materials for trial, materials in ready}
        if not self._alive:
            return
        reference = self._reference_for(self._alive[0].trial)
        group = Group(list(self._alive), reference, self._progress, energy=self._watch.active)
        for contender, outcome in group.rounds(seed):
            self._end_contender(contender, outcome, found[contender.trial.id], is_alone=len(ready) == 1)

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

    def _new_team(self, trial: Trial, folder: str) -> Team:
        """Processes for a trial, importing its engine. Raises WorkerFailure, StoreError."""
        launch = from_environment()
        bind = not (launch and launch.binds)
        logs, threads = self._writer.folder.logs, threads_of(trial, share=bind)
        workers: list[Worker] = []
        try:
            for rank in range(trial.devices):
                log = log_of(logs, trial, rank)
                workers.append(Worker(log, trial.engine.python, threads, trial.allocator, rank, launch))
        except DynoError:
            for worker in workers:
                worker.kill()
            raise
        return Team(trial, folder, workers, bind=bind)

    def _build(self, trial: Trial, materials: Materials, *, is_alone: bool) -> None:
        """A built contender joins the living; one that is over, well or not, is recorded with all it said."""
        self._progress.phase(trial, "building")
        team = self._pool.take(trial, materials.folder)
        limits = self._spec.limits
        contender = Contender(trial, team, limits.build_seconds, limits.burst_grace_seconds)
        self._alive.append(contender)
        self._watch.follow({pid: c.trial.id for c in self._alive for pid in c.team.pids})
        try:
            contender.build(materials, self._hear(trial))
        except TrialFailed as failed:
            outcome = contender.outcome(failed.failure)
            self._end_contender(contender, outcome, materials, is_alone=is_alone)
            return
        if trial.task is Task.ACCURACY:  # nothing to time: its worker need not wait for the others
            outcome = contender.outcome(Failure(Verdict.VALID, "", ""))
            self._end_contender(contender, outcome, materials, is_alone=is_alone)
        else:
            self._progress.phase(trial, "built, waiting for its turn")

    def _reference_for(self, trial: Trial) -> SpinReference:
        """Probes of other devices run on another number of threads and cannot be compared."""
        kind = (device_kind(trial.device), trial.devices)
        return self._references.setdefault(kind, SpinReference())

    def _measure_overhead(self) -> None:
        """Once a run, on the first build that stands and runs in real time."""
        candidates = [c for c in self._alive if c.trial.measurement.clock == "real"]
        if not self._overhead_due or not candidates:
            return
        contender = candidates[0]
        self._progress.note("Measuring what the telemetry itself costs (sampler on, off, on, ...)")
        try:
            overhead = measure_overhead(contender, self._watch, self._reference_for(contender.trial))
        except TrialFailed as failed:  # another group may still tell
            self._alive.remove(contender)
            contender.team.kill()
            self._end(contender.outcome(failed.failure))
            return
        self._overhead_due = False
        if overhead:
            self._writer.append(overhead)

    def _end_contender(
        self, contender: Contender, outcome: Outcome, materials: Materials, *, is_alone: bool
    ) -> None:
        """Record first: a contender that a full disk keeps from being recorded is still in progress."""
        trial = outcome.trial
        in_company = trial.device.startswith("cuda") and (not is_alone or bool(self._pool.pids()))
        if outcome.verdict is Verdict.OUT_OF_MEMORY and in_company:
            self._progress.phase(trial, "out of memory in company: will be tried alone")
            self._to_repeat.append((trial, materials))
            self._pool.again(trial)
        else:
            latencies = contender.latencies_s
            if len(latencies):
                self._writer.save_latencies(trial.id, latencies)
            if len(contender.answers):
                self._writer.save_answers(trial.id, contender.answers)
            self._end(outcome)
            self._sweep.learn(outcome)
        self._alive.remove(contender)
        healthy = outcome.verdict.is_measured
        self._pool.give_back(trial, contender.team, healthy=healthy)

    def _find_largest(self) -> None:
        """Wherever memory ran out: how large a batch would have fitted?"""
        if not self._spec.largest_batch:
            return
        for trial, search in self._sweep.searches(self._materials, self._spec.limits.build_seconds):
            self._progress.note(
                f"Looking for the largest batch of {trial.model} in {trial.precision} that fits"
            )
            with suppress(TrialFailed):
                self._writer.append(search(self._new_team))

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


def gpus_of(trials: Iterable[Trial]) -> tuple[str, ...]:
    """The GPUs that trials run on: "cuda:0" and the next ones of those on several."""
    found = {
        (Rank(index=i, size=trial.devices).device_of(trial))
        for trial in trials
        for i in range(trial.devices)
        if trial.device.startswith("cuda")
    }
    return tuple(sorted(found, key=lambda device: (len(device), device)))


def ended(trial: Trial, failure: Failure) -> Outcome:
    """The outcome of a trial that never had a worker, or lost all it had."""
    return Outcome(
        trial=trial,
        verdict=failure.verdict,
        reason=failure.reason,
        slug=failure.slug,
        shortage=failure.shortage,
        last_words=failure.last_words,
    )
