"""What a device is and what it reaches: features from its driver, measured ceilings, idle windows."""

import msgspec

from tensordyno.records.base import Record


class Ceiling(Record, frozen=True, kw_only=True):
    """A rate that the device was seen to reach with a plain library call."""

    what: str  # "matmul", "copy", "host_to_device", "device_to_host"
    rate: float  # operations or bytes a second; a fused multiply-add is two operations
    precision: str = ""  # of a matmul: as in Precision
    how: str = ""  # "8192 x 8192 x 8192 torch.matmul, median of 20"


class DevicePage(Record, frozen=True, kw_only=True):
    """One device of a run. `features` are texts with units, under the names a reader sees."""

    device: str  # "gpu0", "cpu": as telemetry calls it
    name: str  # "NVIDIA H200"
    features: dict[str, str] = msgspec.field(default_factory=dict)
    ceilings: tuple[Ceiling, ...] = ()
    reason: str = ""  # why there are no ceilings


class IdleWindow(Record, frozen=True, kw_only=True):
    """A stretch in which this run left its devices alone, on the node's clock in seconds."""

    when: str  # "before" the first trial, "after" the last one
    start_s: float
    stop_s: float
    cool_down_s: float = 0.0  # waited before it
