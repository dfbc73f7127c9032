"""Who else computes on a GPU: NVML's list of processes, less our own and their children."""

import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tensordyno.telemetry.kernel_files import PROC

SWEEPS_BETWEEN = 10  # a second, usually: neighbours come and go slowly, and the driver walks a list
_DEEPEST = 32  # generations


class Neighbours:
    """Counts the compute processes on each GPU that are not ours.

    Ours are this process, the watched ones, and whatever they started. In a container NVML may list no
    process, or list them by the host's numbers: until one of ours is seen on some GPU, nothing is known.
    """

    def __init__(self, nvml: Any, gpus: Collection[Any], proc: Path = PROC) -> None:
        self._nvml = nvml
        self._gpus = gpus
        self._proc = proc
        self._ours = {os.getpid()}
        self._sees_us = False
        self._sweeps = 0
        self._latest = [math.nan] * len(gpus)

    def watch(self, pids: Collection[int]) -> None:
        """These processes are ours too; the next count is due at once."""
        self._ours.update(pids)
        self._sweeps = 0

    def counts(self) -> list[float]:
        """Other processes on each GPU as of the last time the driver was asked; NaN where not known."""
        if self._sweeps % SWEEPS_BETWEEN == 0:
            self._latest = self._ask_all()
        self._sweeps += 1
        return self._latest

    def _ask_all(self) -> list[float]:
        listed = [self._pids(gpu) for gpu in self._gpus]
        others = [None if pids is None else sum(not self._is_ours(pid) for pid in pids) for pids in listed]
        present = [len(pids) for pids in listed if pids is not None]
        known = [count for count in others if count is not None]
        self._sees_us = self._sees_us or sum(present) > sum(known)
        return [math.nan if n is None or not self._sees_us else float(n) for n in others]

    def _pids(self, gpu: Any) -> list[int] | None:
        nvml = self._nvml
        try:
            return [process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)]
        except (nvml.NVMLError, AttributeError):
            return None

    def _is_ours(self, pid: int) -> bool:
        for _ in range(_DEEPEST):
            if pid in self._ours:
                return True
            if pid <= 1:
                return False
            pid = self._parent(pid)
        return False

    def _parent(self, pid: int) -> int:
        """0 for a process that has ended, or that lies outside this container."""
        try:
            stat = (self._proc / str(pid) / "stat").read_bytes()
        except OSError:
            return 0
        return int(stat.rpartition(b")")[2].split()[1])  # proc_pid_stat(5): state, ppid
