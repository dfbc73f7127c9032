"""What a report contains, in which order and under which headings: the one editorial file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tensordyno.analysis.scores import Score
from tensordyno.vocabulary import Task


@dataclass(frozen=True)
class Section:
    """A heading with its anchor, its link text, and a part of the document, figures, or both."""

    anchor: str
    heading: str
    short: str
    part: str = ""  # answer, trials, memory, devices, accuracy, calibration, warnings, environment, ...
    figures: tuple[str, ...] = ()
    timed: bool = False  # only where a trial was to be timed


OUTLINE = (
    Section("answer", "The answer", "Answer", part="answer"),
    Section("trials", "Every trial", "Trials", part="trials"),
    Section(
        "batch",
        "Batch size and latency",
        "Batch size",
        figures=("throughput-latency", "pareto"),
        timed=True,
    ),
    Section(
        "memory", "Until memory runs out", "Memory", part="memory", figures=("device-memory",), timed=True
    ),
    Section("baseline", "Against the baseline", "Baseline", figures=("engine-bars",), timed=True),
    Section("devices", "Several devices", "Devices", figures=("scaling", "device-consistency"), timed=True),
    Section(
        "ceilings", "What the devices can do", "Ceilings", part="devices", figures=("roofline",), timed=True
    ),
    Section("energy", "Energy", "Energy", figures=("efficiency",), timed=True),
    Section("int8", "What INT8 buys", "INT8", figures=("int8-speedup",), timed=True),
    Section("accuracy", "Right answers", "Accuracy", part="accuracy", figures=("accuracy", "accuracy-speed")),
    Section(
        "calibration",
        "Calibration for INT8",
        "Calibration",
        part="calibration",
        figures=("calibration-study", "layer-sensitivity"),
    ),
    Section("start", "Starting up", "Start-up", figures=("first-inference",), timed=True),
    Section("latency", "Steadiness", "Steadiness", figures=("latency-distribution",), timed=True),
    Section("timeline", "What the machine did", "Timeline", figures=("telemetry-timeline",)),
    Section("environment", "Environment", "Environment", part="environment"),
    Section("warnings", "Before you use these numbers", "Warnings", part="warnings"),
    Section("method", "How this was measured", "Method", part="method"),
    Section("reproduce", "Do it again", "Reproduce", part="reproduce"),
)
FIGURES_IN_ORDER = tuple(name for section in OUTLINE for name in section.figures)

_FIRST_UNTIMED = ("answer", "accuracy", "calibration")


def is_timed(scores: Sequence[Score]) -> bool:
    """Whether the run was to time anything; a run of `dyno accuracy` was not."""
    return not scores or any(score.task != Task.ACCURACY for score in scores)


def sections(scores: Sequence[Score]) -> tuple[Section, ...]:
    """The sections that a run of these trials may have, in order.

    Where nothing was to be timed, what is about speed is gone and the right answers come first.
    """
    if is_timed(scores):
        return OUTLINE
    kept = [section for section in OUTLINE if not section.timed]
    return tuple(sorted(kept, key=lambda section: section.anchor not in _FIRST_UNTIMED))


def filled(found: Sequence[Section], parts: Collection[str], drawn: Collection[str]) -> tuple[Section, ...]:
    """The sections with only those parts and figures; one that has neither is left out."""
    trimmed = (
        replace(
            section,
            part=section.part if section.part in parts else "",
            figures=tuple(name for name in section.figures if name in drawn),
        )
        for section in found
    )
    return tuple(section for section in trimmed if section.part or section.figures)
