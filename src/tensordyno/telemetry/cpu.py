"""CPU: how busy each core was since the last reading, its frequency, and the load."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import Source
from tensordyno.telemetry.kernel_files import PROC, SYS, KernelFile, open_or_unavailable, read_number

_IDLE, _IOWAIT, _STEAL, _FIELDS = 3, 4, 7, 8  # columns of /proc/stat, proc_stat(5); guest is within user


class _Ticks(NamedTuple):
    busy: int
    stolen: int
    total: int


class CpuSource(Source):
    """Cores from /proc/stat and cpufreq. Device "" is the whole node.

    utilisation  % of the time since the last reading that this machine used the core. Time that the
                 hypervisor took away is not counted as used; it is `steal`.
    frequency    Hz, where the kernel's cpufreq tells it. /proc/cpuinfo is no substitute: in a virtual
                 machine it shows a constant.
    load         runnable tasks, one-minute average.

    The kernel counts in ticks of 10 ms: a reading every 100 ms is good to 10 % for one core.
    """

    name = "cpu"

    def __init__(self, proc: Path = PROC, sys: Path = SYS) -> None:
        self._stat = KernelFile(proc / "stat")
        self._load = KernelFile(proc / "loadavg")
        self._folder = sys / "devices/system/cpu"

    def open(self) -> tuple[Channel, ...]:
        """Channels of the node, then of each core online now."""
        open_or_unavailable(self._stat, self._load)
        self._before = _ticks(self._stat.read())
        self._cores = [name for name in self._before if name != "cpu"]
        self._clocks = {core: path for core in self._cores if (path := self._clock_file(core)).exists()}
        return (
            Channel(source="cpu", name="utilisation", unit="%"),
            Channel(source="cpu", name="steal", unit="%"),
            Channel(source="cpu", name="load", unit="1"),
            *(Channel(source="cpu", name="utilisation", unit="%", device=core) for core in self._cores),
            *(Channel(source="cpu", name="frequency", unit="Hz", device=core) for core in self._clocks),
        )

    def read(self) -> Sequence[float]:
        """NaN for a core that went offline, and where no tick passed since the last reading."""
        before, self._before = self._before, _ticks(self._stat.read())
        used = {name: _percent(before.get(name), now) for name, now in self._before.items()}
        nothing = (math.nan, math.nan)
        return [
            *used.get("cpu", nothing),
            float(self._load.read().split()[0]),
            *(used.get(core, nothing)[0] for core in self._cores),
            *(_kilo(read_number(path)) for path in self._clocks.values()),
        ]

    def lacking(self) -> tuple[str, ...]:
        """Why there is no frequency, where there is none."""
        if self._clocks:
            return ()
        return (f"frequency: no cpufreq under {self._folder} (usual in a virtual machine)",)

    def close(self) -> None:
        """Close the kept files."""
        self._stat.close()
        self._load.close()

    def _clock_file(self, core: str) -> Path:
        return self._folder / core / "cpufreq/scaling_cur_freq"


def _ticks(stat: bytes) -> dict[str, _Ticks]:
    """Time counted so far for "cpu" (all) and each core."""
    found = {}
    for line in stat.split(b"\n"):
        if not line.startswith(b"cpu"):
            break  # the cores come first; what follows is long
        name, *columns = line.split()
        ticks = [int(c) for c in columns[:_FIELDS]]
        total = sum(ticks)
        busy = total - ticks[_IDLE] - ticks[_IOWAIT] - ticks[_STEAL]
        found[name.decode()] = _Ticks(busy, ticks[_STEAL], total)
    return found


def _percent(before: _Ticks | None, now: _Ticks) -> tuple[float, float]:
    """Busy and stolen share in percent; NaN when no time passed or the core was offline before."""
    if before is None or now.total <= before.total:
        return math.nan, math.nan
    span = now.total - before.total
    busy = 100 * (now.busy - before.busy) / span  # iowait may run back a little: proc_stat(5)
    return min(max(busy, 0.0), 100.0), 100 * (now.stolen - before.stolen) / span


def _kilo(value: float | None) -> float:
    return math.nan if value is None else 1000 * value


MEMBER = CpuSource
