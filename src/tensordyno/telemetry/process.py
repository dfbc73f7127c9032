"""Watched processes: CPU time, resident memory, threads, and bytes read and written."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from tensordyno.clock import Clock, RealClock
from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.kernel_files import PROC, KernelFile

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Columns of /proc/PID/stat after the command's closing parenthesis: proc_pid_stat(5), numbers less 3.
_STATE, _UTIME, _STIME, _THREADS, _RSS = 0, 11, 12, 17, 21
_CHANNELS = (
    ("utilisation", "%", False),
    ("rss", "B", False),
    ("threads", "1", False),
    ("read", "B", True),
    ("written", "B", True),
)
_ENDED = (math.nan,) * len(_CHANNELS)


class ProcessSource(Source):
    """Processes from /proc/PID; device is "pid 123 (label)".

    utilisation    % of one core since the last reading: 200 is two cores' worth
    read, written  bytes that reached the block layer (page-cache hits are not among them)

    All values of a process that has ended are NaN; its channels go at the next `watch`.
    """

    name = "process"

    def __init__(self, proc: Path = PROC, clock: Clock | None = None) -> None:
        self._proc = proc
        self._clock = clock or RealClock()
        self._watched: dict[int, _Process] = {}

    def open(self) -> tuple[Channel, ...]:
        """No channels until `watch` names processes."""
        if not (self._proc / "self/stat").exists():
            raise SensorUnavailable(f"{self._proc}/self/stat does not exist: this needs Linux's /proc")
        return ()

    def watch(self, pids: dict[int, str]) -> tuple[Channel, ...]:
        """Follow these too; a process that has already ended gets channels that read NaN."""
        for pid in [pid for pid, process in self._watched.items() if process.has_ended]:
            self._watched.pop(pid).close()
        for pid, label in pids.items():
            if pid not in self._watched:
                self._watched[pid] = _Process(self._proc / str(pid), f"pid {pid} ({label})", self._clock)
        return tuple(channel for process in self._watched.values() for channel in process.channels())

    def read(self) -> Sequence[float]:
        """Five values a process, in the order of the last `watch`."""
        return [value for process in self._watched.values() for value in process.read()]

    def close(self) -> None:
        """Close the kept files."""
        while self._watched:
            self._watched.popitem()[1].close()


class _Process:
    """One followed process."""

    def __init__(self, folder: Path, device: str, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._stat = _open_quietly(folder / "stat")
        self._io = _open_quietly(folder / "io")
        self._cpu_s, self._at_s = math.nan, clock.now()
        self.has_ended = False
        self.read()  # the base of the first utilisation

    def channels(self) -> list[Channel]:
        return [
            Channel(source="process", name=name, unit=unit, device=self._device, cumulative=cumulative)
            for name, unit, cumulative in _CHANNELS
        ]

    def read(self) -> tuple[float, ...]:
        try:
            columns = self._stat.read().rpartition(b")")[2].split() if self._stat else []
        except OSError:
            columns = []
        if not columns or columns[_STATE] in (b"Z", b"X"):  # a zombie has no memory, which is no reading
            self.has_ended = True
            return _ENDED
        cpu_s = (int(columns[_UTIME]) + int(columns[_STIME])) / _TICKS_PER_S
        return (
            self._utilisation(cpu_s),
            float(int(columns[_RSS]) * _PAGE_BYTES),
            float(columns[_THREADS]),
            *self._bytes(),
        )

    def _utilisation(self, cpu_s: float) -> float:
        now_s = self._clock.now()
        used_s, span_s = cpu_s - self._cpu_s, now_s - self._at_s
        self._cpu_s, self._at_s = cpu_s, now_s
        return 100 * used_s / span_s if span_s > 0 else math.nan

    def _bytes(self) -> tuple[float, float]:
        """Bytes read and written so far; NaN for another user's process."""
        try:
            lines = self._io.read().split() if self._io else []
            return float(lines[lines.index(b"read_bytes:") + 1]), float(
                lines[lines.index(b"write_bytes:") + 1]
            )
        except (OSError, ValueError):
            return math.nan, math.nan

    def close(self) -> None:
        for file in (self._stat, self._io):
            if file is not None:
                file.close()


def _open_quietly(path: Path) -> KernelFile | None:
    try:
        return KernelFile(path).open()
    except OSError:
        return None


MEMBER = ProcessSource
