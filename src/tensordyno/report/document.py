"""A report's content, independent of its format: words, tables and drawings in the outline's order."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tensordyno.analysis.baseline import bursts_of, chosen_baseline, relative
from tensordyno.analysis.caution import Warning
from tensordyno.analysis.checks import warnings
from tensordyno.analysis.scores import Score
from tensordyno.report import cells
from tensordyno.report.answer import Verdicts, Words
from tensordyno.report.conditions import Group, conditions, machine_line
from tensordyno.report.drawings import Drawing
from tensordyno.report.method_text import methods
from tensordyno.report.outline import OUTLINE, Section
from tensordyno.report.trial_table import TrialTable, tally, trial_table
from tensordyno.store.reader import Run

GRAVE = frozenset(
    {
        "unfinished",
        "fake-clock",
        "failed",
        "verification-failed",
        "faster-but-unstable",
        "unstable",
        "mixed-boundaries",
    }
)


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
    drawings: dict[str, Drawing]
    warnings: tuple[Warning, ...]
    environment: tuple[Group, ...]
    methods: tuple[str, ...]
    command: str
    outline: tuple[Section, ...] = OUTLINE


def document(run: Run, scores: Sequence[Score], drawings: Sequence[Drawing]) -> Document:
    """Assemble a report around the drawings of the outline's figures."""
    baseline = chosen_baseline(run, scores)
    ratios = relative(scores, bursts_of(run), baseline) if baseline else {}
    words = Words(run, scores, ratios, baseline)
    return Document(
        title=_title(run, scores),
        headline=words.headline(scores),
        machine=machine_line(run.header.machine),
        started=started(run),
        run=run.header.run,
        version=run.header.version,
        tally=tally(scores),
        baseline=baseline,
        answers=words.answers(scores),
        trials=trial_table(scores, ratios, baseline),
        drawings={drawing.name: drawing for drawing in drawings},
        warnings=warnings(run, scores),
        environment=conditions(run),
        methods=methods(run, scores),
        command=_shown(run.header.command),
    )


def started(run: Run) -> str:
    """When the run began, to the minute."""
    return run.header.started.replace("T", " ")[:16] + " UTC"


def _title(run: Run, scores: Sequence[Score]) -> str:
    models = list(dict.fromkeys(s.model for s in scores))
    return f"{cells.listing(models, 3) or run.header.run} on {run.header.machine.cpu}"


def _shown(command: str) -> str:
    """The command as it is typed, without the switches that only concern the screen."""
    words = shlex.split(command)
    return shlex.join(w for w in words if w not in ("--json", "--debug", "--no-report"))
