"""One uninterrupted stretch of timed batches, bracketed by two spin probes."""

from tensordyno.records.base import Record


class Probe(Record, frozen=True, kw_only=True):
    """A short spin on all used threads: how much of its cores a process really gets."""

    rate: float  # MiB hashed per second, all threads together
    loss: float  # 1 - rate / best rate known on this machine


class Burst(Record, frozen=True, kw_only=True):
    """Timed batches without interruption. Times on the node's monotonic clock, in seconds.

    The latency of each batch lies in the trial's sample file, in order; `batches` says how many of
    them belong to this burst. A contended burst is kept on disk and left out of every number.
    """

    start_s: float
    stop_s: float
    batches: int
    images: int
    before: Probe | None = None
    after: Probe | None = None
    contended: bool = False

    @property
    def duration_s(self) -> float:
        """Wall-clock length of the burst in seconds."""
        return self.stop_s - self.start_s


class Warmup(Record, frozen=True, kw_only=True):
    """What happened before the first measured burst."""

    start_s: float
    stop_s: float
    batches: int
    settled: bool  # the window medians stopped falling
