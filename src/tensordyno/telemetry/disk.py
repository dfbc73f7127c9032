"""Block devices: bytes read and written since boot."""

import math
from collections.abc import Sequence
from pathlib import Path

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.kernel_files import PROC, SYS, KernelFile, open_or_unavailable

# "sectors" are 512 bytes whatever the device's own block size: Documentation/block/stat.rst
_SECTOR_BYTES = 512
_NAME, _SECTORS_READ, _SECTORS_WRITTEN = 2, 5, 9  # columns of /proc/diskstats: admin-guide/iostats.rst
_NO_DISKS = ("loop", "ram", "zram")


class DiskSource(Source):
    """Whole devices from /proc/diskstats.

    Partitions, loop devices and memory disks are left out: their bytes are another device's or
    none. A stacked device (dm-0, md0) repeats the bytes of the devices below it: do not add them up.
    """

    name = "disk"
    period = 5

    def __init__(self, proc: Path = PROC, sys: Path = SYS) -> None:
        self._file = KernelFile(proc / "diskstats")
        self._blocks = sys / "block"

    def open(self) -> tuple[Channel, ...]:
        """Two channels a device."""
        open_or_unavailable(self._file)
        whole = {path.name for path in self._blocks.glob("*")}
        found = _bytes_moved(self._file.read())
        self._names = [n for n in found if n in whole and not n.startswith(_NO_DISKS)]
        if not self._names:
            self.close()
            raise SensorUnavailable(f"{self._file.path} lists no disk (a container may hide them)")
        return tuple(
            Channel(source="disk", name=name, unit="B", device=device, cumulative=True)
            for device in self._names
            for name in ("read", "written")
        )

    def read(self) -> Sequence[float]:
        """NaN for a device that was taken away."""
        moved = _bytes_moved(self._file.read())
        return [value for name in self._names for value in moved.get(name, (math.nan, math.nan))]

    def close(self) -> None:
        """Close the kept file."""
        self._file.close()


def _bytes_moved(diskstats: bytes) -> dict[str, tuple[float, float]]:
    moved = {}
    for line in diskstats.splitlines():
        columns = line.split()
        read, written = int(columns[_SECTORS_READ]), int(columns[_SECTORS_WRITTEN])
        moved[columns[_NAME].decode()] = (float(read * _SECTOR_BYTES), float(written * _SECTOR_BYTES))
    return moved


MEMBER = DiskSource
