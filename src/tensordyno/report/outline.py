"""What a report contains, in which order and under which headings: the one editorial file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A heading with its anchor, its link text, and either figures or a part of the document."""

    anchor: str
    heading: str
    short: str
    part: str = ""  # answer, trials, warnings, environment, method, reproduce
    figures: tuple[str, ...] = ()


OUTLINE = (
    Section("answer", "The answer", "Answer", part="answer"),
    Section("trials", "Every trial", "Trials", part="trials"),
    Section("batch", "Batch size and latency", "Batch size", figures=("throughput-latency", "pareto")),
    Section("baseline", "Against the baseline", "Baseline", figures=("engine-bars",)),
    Section("start", "Starting up", "Start-up", figures=("first-inference",)),
    Section("latency", "Steadiness", "Steadiness", figures=("latency-distribution",)),
    Section("accuracy", "Right answers", "Accuracy", figures=("accuracy",)),
    Section("timeline", "What the machine did", "Timeline", figures=("telemetry-timeline",)),
    Section("environment", "Environment", "Environment", part="environment"),
    Section("warnings", "Before you use these numbers", "Warnings", part="warnings"),
    Section("method", "How this was measured", "Method", part="method"),
    Section("reproduce", "Do it again", "Reproduce", part="reproduce"),
)
FIGURES_IN_ORDER = tuple(name for section in OUTLINE for name in section.figures)
