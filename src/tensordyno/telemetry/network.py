"""Network interfaces: bytes sent and received since they came up."""

import math
from collections.abc import Sequence
from pathlib import Path

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.kernel_files import PROC, SYS, KernelFile, open_or_unavailable, read_text

_RECEIVED, _SENT = 0, 8  # columns of /proc/net/dev after the name: proc_pid_net(5)


class NetworkSource(Source):
    """Interfaces of this process's network namespace from /proc/net/dev, loopback included.

    Interfaces that are down at the start are left out.
    """

    name = "network"
    period = 5

    def __init__(self, proc: Path = PROC, sys: Path = SYS) -> None:
        self._file = KernelFile(proc / "net/dev")
        self._states = sys / "class/net"

    def open(self) -> tuple[Channel, ...]:
        """Two channels an interface."""
        open_or_unavailable(self._file)
        self._names = [n for n in _bytes_moved(self._file.read()) if not self._is_down(n)]
        if not self._names:
            self.close()
            raise SensorUnavailable(f"{self._file.path} lists no interface that is up")
        return tuple(
            Channel(source="network", name=name, unit="B", device=device, cumulative=True)
            for device in self._names
            for name in ("received", "sent")
        )

    def read(self) -> Sequence[float]:
        """NaN for an interface that was taken away."""
        moved = _bytes_moved(self._file.read())
        return [value for name in self._names for value in moved.get(name, (math.nan, math.nan))]

    def close(self) -> None:
        """Close the kept file."""
        self._file.close()

    def _is_down(self, name: str) -> bool:
        return read_text(self._states / name / "operstate") == "down"


def _bytes_moved(dev: bytes) -> dict[str, tuple[float, float]]:
    moved = {}
    for line in dev.splitlines()[2:]:  # two lines of headings
        name, _, values = line.rpartition(b":")  # an alias such as eth0:1 holds a colon
        columns = values.split()
        moved[name.strip().decode()] = (float(columns[_RECEIVED]), float(columns[_SENT]))
    return moved


MEMBER = NetworkSource
