"""One trial's numbers, derived from its facts: the flat row that tables, figures and scripts read."""

from tensordyno.records.base import Record
from tensordyno.vocabulary import Verdict


class Interval(Record, frozen=True, kw_only=True):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative half-width."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else 0.0


class Score(Record, frozen=True, kw_only=True):
    """One trial, flat. None means unknown or refused, never zero. Times in seconds, energy in joules."""

    trial: str
    task: str
    model: str
    engine: str  # label with options
    engine_name: str  # without options: decides the colour
    precision: str
    batch_size: int
    devices: int
    nodes: int
    boundary: str
    device: str
    dataset: str
    verdict: Verdict
    reason: str = ""
    slug: str = ""
    weights: str = ""  # random, packaged, checkpoint, embedded
    images_per_s: Interval | None = None
    latency_p50_s: Interval | None = None
    latency_p90_s: Interval | None = None
    latency_p99_s: Interval | None = None  # None when there are too few samples to claim it
    latency_mean_s: float | None = None
    latency_worst_s: float | None = None
    batches: int = 0  # kept
    contended_bursts: int = 0  # repeated and left out
    bursts: int = 0  # kept
    top1: Interval | None = None
    top5: Interval | None = None
    accuracy_images: int = 0
    sqnr_db: float | None = None
    cosine: float | None = None
    top1_agreement: float | None = None
    time_to_first_inference_s: float | None = None
    import_s: float | None = None
    load_s: float | None = None
    compile_s: float | None = None
    first_inference_s: float | None = None
    peak_rss_bytes: int | None = None
    gmacs: float | None = None  # of one image
    parameters: int | None = None
    joules_per_image: float | None = None
    energy_method: str = "unavailable"  # or counter, integral
    power_w: float | None = None
    threads: int | None = None
    engine_version: str = ""
    choices: str = ""  # layout, streams: what the engine decided
    group: str = ""
