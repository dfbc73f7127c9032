"""What the parent and a worker say to each other, one JSON line each.

Orders go to the worker's stdin; reports come back on a pipe of their own, because vendor libraries
print to stdout. The same lines can be typed by hand: `python -m tensordyno.worker < orders.jsonl`.
"""

import msgspec

from tensordyno.records.base import Record
from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.device import Ceiling
from tensordyno.records.memory import Shortage
from tensordyno.records.model import ModelFacts
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import Rank, Trial


class PrepareOrder(Record, frozen=True, kw_only=True, tag="prepare"):
    """Build the network once, export it, and store it with its strict FP32 reference answers."""

    trial: Trial
    folder: str  # where the prepared model goes


class QuantizeOrder(Record, frozen=True, kw_only=True, tag="quantize"):
    """Calibrate the trial's prepared network for INT8, or find that this was done before."""

    trial: Trial  # with its calibration
    folder: str  # of the prepared model
    cache: str  # where histograms, tables and Q/DQ files are kept
    sensitivity: bool = False  # rank the layers even when none is to be kept in FP32
    table: str = ""  # file of a calibration table to use instead of calibrating


class ReceiptOrder(Record, frozen=True, kw_only=True, tag="receipt"):
    """Only take the receipt of the trial's engine; a refusal is an answer, not the worker's end."""

    trial: Trial


class StartOrder(Record, frozen=True, kw_only=True, tag="start"):
    """Import the engine of the trials to come and take its receipt: answered by a ReadyReport."""

    trial: Trial
    folder: str  # of the prepared model
    rank: Rank = Rank()
    cache: str = ""  # where engines keep what serves any network; empty: in the folder


class BuildOrder(Record, frozen=True, kw_only=True, tag="build"):
    """Build, verify and check the accuracy of one trial from a prepared model.

    A started worker takes any number of these one after the other if the trials have the same `build_key`
    and its engine can be resized; the network is loaded for the first.
    """

    trial: Trial
    folder: str  # of the prepared model
    quantized: str = ""  # folder of its Q/DQ files; empty unless the trial is INT8


class BurstOrder(Record, frozen=True, kw_only=True, tag="burst"):
    """Measure one burst. `spin_rate` is the best probe rate known to the parent so far."""

    spin_rate: float | None = None
    rehearsal: bool = False  # measured, reported, but no part of the trial
    begin_s: float | None = None  # all ranks begin at this moment of the node's clock; None: at once
    duration_s: float | None = None  # None: the trial's burst_seconds
    lead_s: float = 0.0  # run untimed for so long before it, so that clocks and power settle


class ReleaseOrder(Record, frozen=True, kw_only=True, tag="release"):
    """Let go of the batch and of the device memory it took; the loaded network stays."""


class FitOrder(Record, frozen=True, kw_only=True, tag="fit"):
    """Does a batch of this size run? Nothing is verified or timed; running out of memory is an answer."""

    trial: Trial  # with the batch size to try
    folder: str
    quantized: str = ""


class CeilingsOrder(Record, frozen=True, kw_only=True, tag="ceilings"):
    """Measure what the device reaches with plain library calls: matrix products and copies."""

    device: str  # "cpu", "cuda:0"


class FinishOrder(Record, frozen=True, kw_only=True, tag="finish"):
    """Nothing more to do: close the engine and leave."""


class PreparedReport(Record, frozen=True, kw_only=True, tag="prepared"):
    """A prepared model lies in the folder."""

    model: ModelFacts
    phase: Phase


class ProgressReport(Record, frozen=True, kw_only=True, tag="progress"):
    """How far a long order has come; any number of them may precede its answer."""

    doing: str  # "calibrating", "ranking layers"
    done: int
    total: int


class QuantizedReport(Record, frozen=True, kw_only=True, tag="quantized"):
    """The Q/DQ files and their calibration table lie in the folder."""

    folder: str
    facts: CalibrationFacts
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
    calibration: CalibrationFacts | None = None
    answers: bytes = b""  # int32 little-endian, a row an image: label, first class, rank of the label from 0


class BurstReport(Record, frozen=True, kw_only=True, tag="burst"):
    """One burst, its raw latencies in seconds, and whether the stopping rule is content."""

    burst: Burst
    latencies_s: tuple[float, ...]
    done: bool
    half_width: float | None = None  # of throughput, relative, over the kept bursts
    warmup: Warmup | None = None  # with the first burst


class ReleasedReport(Record, frozen=True, kw_only=True, tag="released"):
    """The batch is gone."""


class FitReport(Record, frozen=True, kw_only=True, tag="fit"):
    """Whether the batch ran, and how much device memory was held at most or was missing."""

    fits: bool
    peak_bytes: int | None = None
    shortage: Shortage | None = None


class CeilingsReport(Record, frozen=True, kw_only=True, tag="ceilings"):
    """What the device reached; or, without any, why."""

    ceilings: tuple[Ceiling, ...] = ()
    reason: str = ""
    name: str = ""  # the device's own
    features: dict[str, str] = msgspec.field(default_factory=dict)  # that only the framework tells


class FailureReport(Record, frozen=True, kw_only=True, tag="failure"):
    """The worker gives up for a reason it understands. `error` is the class name in `errors`."""

    error: str
    slug: str
    sentence: str
    remedy: str = ""
    detail: str = ""  # traceback, shown with --debug and kept in the log
    shortage: Shortage | None = None  # when memory ran out and the framework said of how much


Order = (
    PrepareOrder
    | QuantizeOrder
    | ReceiptOrder
    | StartOrder
    | BuildOrder
    | BurstOrder
    | ReleaseOrder
    | FitOrder
    | CeilingsOrder
    | FinishOrder
)
Report = (
    PreparedReport
    | ProgressReport
    | QuantizedReport
    | ReadyReport
    | BuiltReport
    | BurstReport
    | ReleasedReport
    | FitReport
    | CeilingsReport
    | FailureReport
)
