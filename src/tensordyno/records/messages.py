"""What the parent and a worker say to each other, one JSON line each.

Orders go to the worker's stdin; reports come back on a pipe of their own, because vendor libraries
print to stdout. The same lines can be typed by hand: `python -m tensordyno.worker < orders.jsonl`.
"""

from tensordyno.records.base import Record
from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.model import ModelFacts
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import Trial


class PrepareOrder(Record, frozen=True, kw_only=True, tag="prepare"):
    """Build the network once, export it, and store it with its strict FP32 reference answers."""

    trial: Trial
    folder: str  # where the prepared model goes


class ReceiptOrder(Record, frozen=True, kw_only=True, tag="receipt"):
    """Only take the receipt of the trial's engine; a refusal is an answer, not the worker's end."""

    trial: Trial


class BuildOrder(Record, frozen=True, kw_only=True, tag="build"):
    """Build, verify and check the accuracy of one trial from a prepared model."""

    trial: Trial
    folder: str


class BurstOrder(Record, frozen=True, kw_only=True, tag="burst"):
    """Measure one burst. `spin_rate` is the best probe rate known to the parent so far."""

    spin_rate: float | None = None
    rehearsal: bool = False  # measured, reported, but no part of the trial


class FinishOrder(Record, frozen=True, kw_only=True, tag="finish"):
    """Nothing more to do: close the engine and leave."""


class PreparedReport(Record, frozen=True, kw_only=True, tag="prepared"):
    """A prepared model lies in the folder."""

    model: ModelFacts
    phase: Phase


class ReadyReport(Record, frozen=True, kw_only=True, tag="ready"):
    """The worker runs and its engine gave a receipt."""

    receipt: Receipt
    process: ProcessFacts


class BuiltReport(Record, frozen=True, kw_only=True, tag="built"):
    """The build stands and was compared with the reference."""

    model: ModelFacts
    built: Built
    verification: Verification
    accuracy: Accuracy | None
    phases: tuple[Phase, ...]


class BurstReport(Record, frozen=True, kw_only=True, tag="burst"):
    """One burst, its raw latencies in seconds, and whether the stopping rule is content."""

    burst: Burst
    latencies_s: tuple[float, ...]
    done: bool
    half_width: float | None = None  # of throughput, relative, over the kept bursts
    warmup: Warmup | None = None  # with the first burst


class FailureReport(Record, frozen=True, kw_only=True, tag="failure"):
    """The worker gives up for a reason it understands. `error` is the class name in `errors`."""

    error: str
    slug: str
    sentence: str
    remedy: str = ""
    detail: str = ""  # traceback, shown with --debug and kept in the log


Order = PrepareOrder | ReceiptOrder | BuildOrder | BurstOrder | FinishOrder
Report = PreparedReport | ReadyReport | BuiltReport | BurstReport | FailureReport
