"""Main memory: used, available, and swapped out."""

import math
from collections.abc import Sequence
from pathlib import Path

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import Source
from tensordyno.telemetry.kernel_files import PROC, KernelFile, open_or_unavailable


class MemorySource(Source):
    """Bytes from /proc/meminfo; `used` is MemTotal - MemAvailable, as free(1) of procps-ng 4 has it."""

    name = "memory"
    period = 5

    def __init__(self, proc: Path = PROC) -> None:
        self._file = KernelFile(proc / "meminfo")

    def open(self) -> tuple[Channel, ...]:
        """Three channels of the whole node."""
        open_or_unavailable(self._file)
        return tuple(Channel(source="memory", name=n, unit="B") for n in ("used", "available", "swap_used"))

    def read(self) -> Sequence[float]:
        """NaN for what an old kernel does not tell."""
        sizes = _sizes_bytes(self._file.read())
        available = sizes.get(b"MemAvailable", math.nan)
        swap = sizes.get(b"SwapTotal", math.nan) - sizes.get(b"SwapFree", math.nan)
        return [sizes.get(b"MemTotal", math.nan) - available, available, swap]

    def close(self) -> None:
        """Close the kept file."""
        self._file.close()


def _sizes_bytes(meminfo: bytes) -> dict[bytes, float]:
    sizes = {}
    for line in meminfo.splitlines():
        name, _, value = line.partition(b":")
        number, _, unit = value.strip().partition(b" ")
        if unit == b"kB":  # the kernel writes kB and means 1024 bytes: proc_meminfo(5)
            sizes[name] = 1024.0 * int(number)
    return sizes


MEMBER = MemorySource
