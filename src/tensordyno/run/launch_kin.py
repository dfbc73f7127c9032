"""The processes of a launch as /proc shows them: who started us, and who was started beside us.

Variables alone do not prove a launch: whatever a rank starts inherits them, and somebody may have exported
them. Ranks that belong together run the same command below the same launcher, and the launcher is the nearest
ancestor that was given no rank itself; that holds also where a wrapper script stands between.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_PARENT, _STARTED = 1, 19  # fields of /proc/PID/stat behind the name, from 0 (proc(5): ppid, starttime)


class Process(NamedTuple):
    """A process of this host; the moment of its start tells it from a later one with the same id."""

    pid: int
    started: int  # clock ticks since the host's start; 0: not to be seen


def launcher(variable: str) -> Process:
    """Who started this rank and those beside it. `variable` holds the rank."""
    return _launcher_of(os.getpid(), variable)


def ranks(variable: str) -> dict[int, Process]:
    """The other ranks of this launch that live and run this process's command."""
    ours, own = _launcher_of(os.getpid(), variable), _command(os.getpid())
    found: dict[int, Process] = {}
    for pid in _pids():
        rank = _rank_of(pid, variable)
        if rank is None or pid == os.getpid() or _command(pid) != own:
            continue
        if _launcher_of(pid, variable) == ours:
            process = Process(pid, _started(pid))
            found[rank] = min(
                process, found.get(rank, process), key=lambda p: p.started
            )  # the rest: its forks
    return found


def is_alive(process: Process) -> bool:
    """Whether a process still runs."""
    fields = _stat(process.pid)
    return bool(fields) and int(fields[_STARTED]) == process.started and fields[0] not in "ZX"


def command_line() -> bytes:
    """This process's command, which all ranks of a launch share."""
    return _command(os.getpid())


def _launcher_of(pid: int, variable: str) -> Process:
    above = _parent(pid)
    while above > 1 and _rank_of(above, variable) is not None:
        above = _parent(above)
    return Process(above, _started(above))


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _rank_of(pid: int, variable: str) -> int | None:
    """The rank that a process was given at its start; None: none, or it belongs to somebody else."""
    prefix = f"{variable}=".encode()
    for entry in _read(pid, "environ").split(b"\0"):
        if entry.startswith(prefix) and entry[len(prefix) :].isdigit():
            return int(entry[len(prefix) :])
    return None


def _command(pid: int) -> bytes:
    return _read(pid, "cmdline")


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields else 0


def _started(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_STARTED]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may itself hold spaces and brackets; empty for no such process."""
    return _read(pid, "stat").rpartition(b")")[2].decode().split()


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
