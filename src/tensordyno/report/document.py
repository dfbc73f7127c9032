"""A report's content, independent of its format: words, tables and drawings in the outline's order."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tensordyno.analysis.accuracy import accuracy_rows
from tensordyno.analysis.baseline import bursts_of, chosen_baseline, relative
from tensordyno.analysis.caution import Warning
from tensordyno.analysis.checks import warnings
from tensordyno.analysis.scores import Score
from tensordyno.analysis.where import ran_on
from tensordyno.report import cells
from tensordyno.report.accuracy_table import AccuracyTable, accuracy_table
from tensordyno.report.answer import Verdicts, Words
from tensordyno.report.calibration_text import Calibrated, calibrations
from tensordyno.report.conditions import Group, conditions, machine_line
from tensordyno.report.device_text import DeviceText, devices
from tensordyno.report.drawings import Drawing
from tensordyno.report.memory_table import MemoryTable, memory_table
from tensordyno.report.method_text import methods
from tensordyno.report.outline import Section, filled, is_timed, sections
from tensordyno.report.right_answers import accuracy_answers, accuracy_headline
from tensordyno.report.trial_table import TrialTable, tally, trial_table
from tensordyno.store.reader import Run

GRAVE = frozenset(
    {
        "unfinished",
        "fake-clock",
        "failed",
        "verification-failed",
        "int8-drop",
        "accuracy-drop",
        "faster-but-unstable",
        "unstable",
        "gpu-throttled",
        "gpu-shared",
        "mixed-boundaries",
    }
)
_ALWAYS = {"answer", "trials", "environment", "warnings", "method", "reproduce"}


@dataclass(frozen=True)
class Document:
    """Everything a reader may see of one run."""

    title: str
    headline: str
    machine: str
    started: str
    run: str
    version: str
    tally: str
    baseline: str
    answers: tuple[Verdicts, ...]
    trials: TrialTable
    memory: MemoryTable | None
    devices: tuple[DeviceText, ...]
    accuracy: AccuracyTable | None
    calibrations: tuple[Calibrated, ...]
    drawings: dict[str, Drawing]
    warnings: tuple[Warning, ...]
    environment: tuple[Group, ...]
    methods: tuple[str, ...]
    command: str
    is_timed: bool  # whether anything was to be timed
    outline: tuple[Section, ...]


def document(run: Run, scores: Sequence[Score], drawings: Sequence[Drawing]) -> Document:
    """Assemble a report around the drawings of the outline's figures."""
    baseline = chosen_baseline(run, scores)
    ratios = relative(scores, bursts_of(run), baseline) if baseline else {}
    words = Words(run, scores, ratios, baseline)
    compared = accuracy_rows(run, scores)
    judged = accuracy_headline(compared, scores)
    answers = words.answers(scores)
    accuracy, calibrated = accuracy_table(compared, scores), calibrations(run)
    memory = memory_table(run, scores)
    parts = (
        _ALWAYS
        | ({"memory"} if memory else set())
        | ({"devices"} if run.pages else set())
        | ({"accuracy"} if accuracy else set())
        | ({"calibration"} if calibrated else set())
    )
    return Document(
        title=_title(run, scores),
        headline=words.headline(scores) if answers or not judged else judged,
        machine=machine_line(run.header.machine),
        started=started(run),
        run=run.header.run,
        version=run.header.version,
        tally=tally(scores),
        baseline=baseline,
        answers=(*answers, *accuracy_answers(compared, scores)),
        trials=trial_table(scores, ratios, baseline),
        memory=memory,
        devices=devices(run, scores),
        accuracy=accuracy,
        calibrations=calibrated,
        drawings={drawing.name: drawing for drawing in drawings},
        warnings=warnings(run, scores),
        environment=conditions(run),
        methods=methods(run, scores),
        command=_shown(run.header.command),
        is_timed=is_timed(scores),
        outline=filled(sections(scores), parts, {drawing.name for drawing in drawings}),
    )


def started(run: Run) -> str:
    """When the run began, to the minute."""
    return run.header.started.replace("T", " ")[:16] + " UTC"


def _title(run: Run, scores: Sequence[Score]) -> str:
    models = list(dict.fromkeys(s.model for s in scores))
    devices = list(ran_on(run.header.machine, scores))
    return f"{cells.listing(models, 3) or run.header.run} on {cells.listing(devices, 3)}"


def _shown(command: str) -> str:
    """The command as it is typed, without the switches that only concern the screen."""
    words = shlex.split(command)
    return shlex.join(w for w in words if w not in ("--json", "--debug", "--no-report"))
