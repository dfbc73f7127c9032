"""Reads the small files in which Linux tells its counters, many times and cheaply."""

import os
from pathlib import Path
from typing import Self

from tensordyno.telemetry.base import SensorUnavailable

PROC = Path("/proc")
SYS = Path("/sys")

_CHUNK_BYTES = 1 << 16


class KernelFile:
    """A file of /proc or /sys kept open: each `read` asks the kernel for its contents anew.

    A descriptor kept on a process's file cannot come to mean another process that got the same
    number: once the process has ended, reading raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def open(self) -> Self:
        """Open the file, once. Raises OSError."""
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self

    def read(self) -> bytes:
        """The whole contents now.

        Raises OSError when the process or device is gone, ValueError when the file is not open.
        """
        if self._fd is None:
            raise ValueError(f"{self.path} is not open")
        parts = []
        offset = 0
        while part := os.pread(self._fd, _CHUNK_BYTES, offset):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Give the descriptor back; twice is harmless."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def open_or_unavailable(*files: KernelFile) -> None:
    """Open all of them.

    Raises SensorUnavailable with the system's reason.
    """
    for file in files:
        try:
            file.open()
        except OSError as wrong:
            raise SensorUnavailable(f"{file.path}: {wrong.strerror}") from wrong


def read_text(path: Path) -> str | None:
    """The stripped text of a small file, or None when it cannot be read or is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def read_number(path: Path) -> float | None:
    """The number that a file holds, or None when it cannot be read or holds something else."""
    try:
        return float(read_text(path) or "")
    except ValueError:
        return None
