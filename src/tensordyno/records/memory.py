"""Device memory that ran out, and the largest batch that fits."""

from tensordyno.records.base import Record


class Shortage(Record, frozen=True, kw_only=True):
    """One allocation that failed, in bytes. None: the framework did not say."""

    asked_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


class LargestBatch(Record, frozen=True, kw_only=True):
    """Where a sweep of batch sizes ends, by bisection between the last that ran and the first that did not.

    The fields before `fits` say of which build, as in Score.
    """

    model: str
    engine: str  # label with options
    precision: str
    boundary: str
    device: str
    devices: int = 1
    dataset: str = ""
    fits: int = 0  # largest batch that ran; 0: none did
    fails: int = 0  # smallest batch that ran out of memory
    tried: tuple[int, ...] = ()  # the bisection's batch sizes, in order
    peak_bytes: int | None = None  # of device memory with the largest batch that ran
    shortage: Shortage | None = None  # of the smallest that did not
