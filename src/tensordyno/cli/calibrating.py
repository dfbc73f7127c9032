"""Prepares and calibrates one network outside a run: its trial, the workers, and their bar."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tensordyno.cli.plain import PlainProgress
from tensordyno.errors import DataError, DynoError, Unsupported, UsageError, WorkerFailure
from tensordyno.models.prepared import load_prepared
from tensordyno.plan.identity import model_text
from tensordyno.plan.make import make_plan
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.messages import ProgressReport
from tensordyno.records.trial import Trial
from tensordyno.run.failure import Failure
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.run.team import TrialFailed
from tensordyno.spec.yaml_file import SpecFile
from tensordyno.vocabulary import Verdict

T = TypeVar("T")
Hear = Callable[[ProgressReport], None]

_PATIENCE_S = 600.0  # of silence; every sign of progress earns it anew
_KINDS: dict[Verdict, type[DynoError]] = {Verdict.INVALID: DataError, Verdict.UNSUPPORTED: UsageError}


class Quantized(NamedTuple):
    """Where the Q/DQ files of a network lie, where what they were made from lies, and how it was done."""

    folder: Path
    prepared: Path
    facts: CalibrationFacts


def only_trial(loaded: SpecFile) -> Trial:
    """The one INT8 trial of a spec, with the network's name for its id.

    Raises what `make_plan` raises, Unsupported when it cannot run here, UsageError (`one-calibration`) for
    several ways to calibrate.
    """
    plan = make_plan(loaded.spec, loaded.places)
    for skip in plan.skips:
        raise Unsupported(f"{skip.trial.model} cannot be quantized here: {skip.reason}.")
    refuse_several(len(plan.trials))
    return msgspec.structs.replace(plan.trials[0], id=model_text(plan.trials[0].model))


def refuse_several(calibrations: int) -> None:
    """Raise UsageError (`one-calibration`) where flags ask for more than a file holds."""
    if calibrations > 1:
        raise UsageError(
            "one-calibration",
            f"These flags ask for {calibrations} calibrations, and a file holds one.",
            "Name one --calibration, --method and --calibration-seed; dyno accuracy compares several.",
        )


def prepare(trial: Trial, hear: Hear) -> Path:
    """The folder of a network prepared now or before; it is kept for later runs.

    Raises the DynoError that says why it cannot be done.
    """
    hear(ProgressReport(doing="preparing", done=0, total=1))
    with _logs() as logs:
        folder = _explained(lambda: PreparedModels(logs, _PATIENCE_S).folder_for(trial))
    hear(ProgressReport(doing="preparing", done=1, total=1))
    return Path(folder)


def calibrate(trial: Trial, hear: Hear, *, sensitivity: bool, table: str) -> Quantized:
    """Prepare a network, calibrate it, and find its Q/DQ files; both are kept for later runs.

    Raises DataError (`already-quantized`), or the DynoError that says why it cannot be done.
    """
    prepared = prepare(trial, hear)
    _refuse_quantized(trial, prepared)
    with _logs() as logs:
        quantized = QuantizedModels(logs, _PATIENCE_S, sensitivity=sensitivity, table=table)
        folder, facts = _explained(lambda: quantized.folder_for(trial, str(prepared), hear))
    return Quantized(Path(folder), prepared, facts)


@contextmanager
def _logs() -> Iterator[Path]:
    """A folder for what workers print, while they work."""
    with tempfile.TemporaryDirectory(prefix="dyno-quantize-") as folder:
        yield Path(folder)


def _refuse_quantized(trial: Trial, prepared: Path) -> None:
    if load_prepared(prepared).facts.quantized:
        raise DataError(
            "already-quantized",
            f"{trial.model} is quantized already.",
            "Give the float32 network it was made from, or run this one with --precision int8.",
        )


def _explained(work: Callable[[], T]) -> T:
    try:
        return work()
    except TrialFailed as failed:
        raise _error(failed.failure) from failed


def _error(failure: Failure) -> DynoError:
    """What ended a trial of a run ends this command."""
    return _KINDS.get(failure.verdict, WorkerFailure)(failure.slug, failure.reason)


@contextmanager
def calibration_bar(trial: Trial, *, quiet: bool) -> Iterator[Hear]:
    """A bar on a terminal, plain lines elsewhere; on stderr when stdout is for JSON."""
    console = Console(stderr=quiet, highlight=False)
    if console.is_terminal:
        with _bar(trial.id, console) as hear:
            yield hear
    else:
        plain = PlainProgress(sys.stderr if quiet else sys.stdout)
        yield lambda report: plain.step(trial, report.doing, report.done, report.total)


@contextmanager
def _bar(name: str, console: Console) -> Iterator[Hear]:
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task, doing = bar.add_task(name, total=None), ""

        def hear(report: ProgressReport) -> None:
            nonlocal task, doing
            if report.doing != doing:  # a clock of its own for everything that is done
                bar.remove_task(task)
                task, doing = bar.add_task(f"{name}: {report.doing}", total=report.total), report.doing
            bar.update(task, completed=report.done, total=report.total)

        yield hear
