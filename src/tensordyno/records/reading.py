"""Telemetry facts: what a sensor is, or why it cannot be read."""

import msgspec

from tensordyno.records.base import Record


class Channel(Record, frozen=True, kw_only=True):
    """One quantity of one device."""

    source: str  # cpu, nvml, disk, ...
    name: str  # utilisation, power, read_rate, ... unique within the source and device
    unit: str  # W, J, %, B/s, Hz, degC, B, 1
    device: str = ""  # cpu0, gpu0, eth0, sda, pid 123 (torch)
    cumulative: bool = False  # a counter that only grows; a rate is its difference over time


class ChannelSet(Record, frozen=True, kw_only=True):
    """The channels that the readings after this line hold, in their order."""

    source: str
    channels: tuple[Channel, ...]


class DeviceFacts(Record, frozen=True, kw_only=True):
    """What does not change about a device that channels name."""

    source: str
    device: str  # as in Channel: gpu0
    labels: dict[str, str] = msgspec.field(default_factory=dict)  # for GPUs under nvidia-smi's names


class Reading(Record, frozen=True, kw_only=True):
    """All channels of a source at one moment. None: that single value could not be read."""

    t_s: float  # on the node's monotonic clock, taken in the middle of the read
    values: tuple[float | None, ...]


class Unavailable(Record, frozen=True, kw_only=True):
    """A sensor that cannot be read here, with the reason; never a zero."""

    source: str
    reason: str


class SamplerFacts(Record, frozen=True, kw_only=True):
    """How well the sampler kept its own schedule. Times in seconds."""

    interval_s: float
    samples: int
    late: int  # samples taken more than half an interval after they were due
    worst_lateness_s: float
    mean_cost_s: float  # reading all sources once


class Overhead(Record, frozen=True, kw_only=True):
    """Throughput with the sampler on over throughput with it off, interleaved on the same build."""

    ratio: float
    low: float  # 95 % interval
    high: float
    rounds: int
    interval_s: float
