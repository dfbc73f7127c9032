"""Where a run took place."""

import msgspec

from tensordyno.records.base import Record


class MachineFacts(Record, frozen=True, kw_only=True):
    """The machine and its settings. None means that the system does not tell."""

    hostname: str
    os: str
    kernel: str
    cpu: str
    cores: int  # logical CPUs this process may use
    cpu_quota: float | None = None  # cores' worth of time that control groups allow; None: no limit
    sockets: int | None = None
    threads_per_core: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None  # that control groups allow, if less than the machine has
    governor: str | None = None
    turbo: str | None = None
    virtual: str | None = None  # hypervisor, if the CPU reports one
    container: str | None = None
    instruction_sets: tuple[str, ...] = ()  # those that matter to inference
    gpus: tuple[str, ...] = ()
    python: str = ""
    packages: dict[str, str] = msgspec.field(default_factory=dict)  # name -> version
    spin_rate: float | None = None  # best spin-probe rate seen, the reference of contention


class RunHeader(Record, frozen=True, kw_only=True):
    """First line of a run: when, where, what and by which command."""

    run: str
    started: str  # ISO 8601, UTC
    clock_start_s: float  # the monotonic clock at `started`
    command: str
    version: str  # of tensordyno
    machine: MachineFacts
    baseline: str = ""  # engine that ratios refer to
    latency_bound_s: float | None = None
    seed: int = 0
    regulator_efficiency: float = 1.0  # of power measured behind a regulator (inference-2015)


class RunFooter(Record, frozen=True, kw_only=True):
    """Last line of a finished run; a run without one was cut short."""

    finished: str
    interrupted: bool = False
