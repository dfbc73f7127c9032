"""How a trial ended: every fact about it, or the reason why there are none."""

from tensordyno.records.base import Record
from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.model import ModelFacts
from tensordyno.records.trial import Trial
from tensordyno.vocabulary import Verdict


class Phase(Record, frozen=True, kw_only=True):
    """A named stretch of a trial on the node's monotonic clock, for the timeline."""

    name: str  # prepare, build, verify, accuracy, warmup, measure
    start_s: float
    stop_s: float


class Outcome(Record, frozen=True, kw_only=True):
    """One trial's end. Written once, flushed at once; raw latencies lie in `samples/<trial id>.npy`,
    the answers to labelled images in `answers/<trial id>.npy`.
    """

    trial: Trial
    verdict: Verdict
    reason: str = ""
    slug: str = ""  # of the error or warning behind `reason`, explained in MESSAGES.md
    model: ModelFacts | None = None
    receipt: Receipt | None = None
    process: ProcessFacts | None = None
    built: Built | None = None
    calibration: CalibrationFacts | None = None  # of an INT8 trial
    verification: Verification | None = None
    accuracy: Accuracy | None = None
    warmup: Warmup | None = None
    bursts: tuple[Burst, ...] = ()
    phases: tuple[Phase, ...] = ()
    last_words: str = ""  # end of the worker's stderr when it died
    attempt: int = 1
