"""One uninterrupted stretch of timed batches, bracketed by two spin probes."""

from tensordyno.records.base import Record


class Probe(Record, frozen=True, kw_only=True):
    """A short spin on all used threads: how much of its cores a process really gets."""

    rate: float  # MiB hashed per second, all threads together
    loss: float  # 1 - rate / best rate known on this machine


class RankBurst(Record, frozen=True, kw_only=True):
    """One rank's part of a joint burst."""

    start_s: float
    stop_s: float
    batches: int
    images: int
    device_s: float | None = None  # as in Burst

    @property
    def images_per_s(self) -> float:
        """This rank's own throughput; 0 when it ran nothing."""
        return self.images / (self.stop_s - self.start_s) if self.images else 0.0


class Burst(Record, frozen=True, kw_only=True):
    """Timed batches without interruption. Times on the node's monotonic clock, in seconds.

    The latency of each batch lies in the trial's sample file, in order; `batches` says how many of
    them belong to this burst. A joint burst of several ranks ends at the moment that makes its throughput
    the sum of theirs; its latencies are those of rank 0, then of rank 1, and so on. A contended burst is
    kept on disk and left out of every number.
    """

    start_s: float
    stop_s: float
    batches: int
    images: int
    before: Probe | None = None
    after: Probe | None = None
    contended: bool = False
    device_s: float | None = None  # the same batches on the device's own clock (events), summed
    ranks: tuple[RankBurst, ...] = ()  # of a trial on several devices, in rank order; else empty

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
