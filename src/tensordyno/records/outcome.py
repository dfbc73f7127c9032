"""How a trial ended: every fact about it, or the reason why there are none."""

from tensordyno.records.base import Record
from tensordyno.records.build import Accuracy, Built, ProcessFacts, Receipt, Verification
from tensordyno.records.burst import Burst, Warmup
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.memory import Shortage
from tensordyno.records.model import ModelFacts
from tensordyno.records.trial import Trial
from tensordyno.vocabulary import Verdict


class Phase(Record, frozen=True, kw_only=True):
    """A named stretch of a trial on the node's monotonic clock, for the timeline."""

    name: str  # prepare, build, verify, accuracy, warmup, measure
    start_s: float
    stop_s: float


class RankFacts(Record, frozen=True, kw_only=True):
    """One of the processes that measured a trial together."""

    index: int
    device: str  # cuda:1
    name: str  # the device's own
    pid: int
    affinity: tuple[int, ...] = ()  # logical CPUs it may run on


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
    ranks: tuple[RankFacts, ...] = ()  # of a trial on several devices; else empty
    energy_window: Burst | None = None  # one unbroken stretch at full load, for the energy only
    shortage: Shortage | None = None  # of the memory that ran out
    last_words: str = ""  # end of the worker's stderr when it died
    attempt: int = 1
