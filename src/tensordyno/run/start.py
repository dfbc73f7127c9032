"""Starts a run or goes on with one: the folder, its header, the plan, the end."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tensordyno import __version__
from tensordyno.clock import RealClock
from tensordyno.errors import StoreError, UsageError
from tensordyno.plan.host import Host
from tensordyno.plan.host_notes import notes
from tensordyno.plan.make import make_plan
from tensordyno.records.machine import RunFooter, RunHeader
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan
from tensordyno.run.interrupt import terminated_as_interrupted
from tensordyno.run.launched import host
from tensordyno.run.progress import Progress
from tensordyno.run.same_axis import check_machine, go_on
from tensordyno.run.session import Session
from tensordyno.run.watch import Watch
from tensordyno.spec.schema import Spec
from tensordyno.spec.yaml_file import SpecFile, dump, load_spec
from tensordyno.store.reader import Run, read_run
from tensordyno.store.writer import RunWriter
from tensordyno.telemetry.machine import machine_facts
from tensordyno.vocabulary import Verdict


def start_run(loaded: SpecFile, root: Path, command: Sequence[str], progress: Progress) -> None:
    """Plan a spec and run it in a new folder.

    Raises StoreError when the folder cannot be used, DataError when a file the spec names is missing,
    KeyboardInterrupt after a tidy stop.
    """
    spec = loaded.spec
    plan = make_plan(spec, loaded.places, host())
    with RunWriter(root) as writer:
        writer.create(plan, dump(spec))
        writer.append(_header(spec, root, command))
        for note in notes(plan.trials, Host()):
            progress.note(note)
        _run(spec, plan, writer, progress)


def resume_run(root: Path, progress: Progress) -> None:
    """Run what a run folder still lacks: trials without an outcome, and interrupted ones.

    A finished run is left as it is. Raises what `start_run` raises, and UsageError on other hardware.
    """
    before = read_run(root)
    if before.footer is not None and not before.footer.interrupted and not _undone(before):
        progress.note(f"{root} is finished: there is nothing to resume.")
        return
    check_machine(before, machine_facts())
    go_on(before)
    spec = _stored_spec(before)
    with RunWriter(root) as writer:
        writer.reopen()
        _run(spec, before.plan, writer, progress, before)


def _undone(run: Run) -> set[str]:
    return {trial.id for trial in run.plan.trials} - {outcome.trial.id for outcome in _done(run)}


def _done(run: Run) -> tuple[Outcome, ...]:
    return tuple(o for o in run.outcomes if o.verdict is not Verdict.INTERRUPTED)


def _stored_spec(run: Run) -> Spec:
    try:
        return load_spec(run.folder.spec).spec
    except UsageError as wrong:  # nobody typed it: it is the folder that is damaged
        raise StoreError("broken-record", wrong.sentence, "Start the run anew from its own spec.") from wrong


def default_root(spec: Spec, parent: Path = Path("runs")) -> Path:
    """`runs/2026-11-21_120501-resnet50`: sorts by time, says what it is, never exists yet."""
    words = spec.name or (spec.models[0].name if spec.models else "run")
    slug = "".join(c if c.isalnum() else "-" for c in words.lower()).strip("-")[:40]
    stem = f"{datetime.now().strftime('%Y-%m-%d_%H%M%S')}-{slug}"
    taken = sum(1 for _ in parent.glob(f"{stem}*")) if parent.exists() else 0
    return parent / (f"{stem}-{taken + 1}" if taken else stem)


def _run(spec: Spec, plan: Plan, writer: RunWriter, progress: Progress, before: Run | None = None) -> None:
    """The trials that `before` lacks, and the footer that says whether they were all run."""
    interrupted = True
    try:
        with terminated_as_interrupted(), Watch(spec.telemetry, writer) as watch:
            session = Session(spec, writer, watch, progress)
            if before is None:
                session.run(plan, (), {})
            else:
                attempts = {o.trial.id: o.attempt for o in before.outcomes}
                session.run(
                    plan,
                    _done(before),
                    attempts,
                    overhead_known=before.overhead is not None,
                    largest_known=before.largest,
                )
        interrupted = False
    finally:
        footer = RunFooter(finished=_now(), interrupted=interrupted)
        try:
            writer.append(footer)
        except StoreError:
            if not interrupted:
                raise


def _header(spec: Spec, root: Path, command: Sequence[str]) -> RunHeader:
    return RunHeader(
        run=root.name,
        started=_now(),
        clock_start_s=RealClock.now(),
        command=shlex.join(command),
        version=__version__,
        machine=machine_facts(),
        baseline=spec.baseline or "",
        latency_bound_s=spec.latency_bound_s,
        seed=spec.seed,
        regulator_efficiency=spec.telemetry.regulator_efficiency,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
