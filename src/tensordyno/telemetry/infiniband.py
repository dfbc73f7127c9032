"""InfiniBand and RoCE ports: bytes sent and received, by the adapter's own counters."""

import math
from collections.abc import Sequence
from pathlib import Path

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.kernel_files import SYS, read_number

# port_xmit_data and port_rcv_data count octets divided by 4 (lanes):
# Documentation/ABI/stable/sysfs-class-infiniband of the Linux kernel, after IBTA PortCounters.
_LANES = 4
_COUNTERS = {"received": "port_rcv_data", "sent": "port_xmit_data"}


class InfinibandSource(Source):
    """Ports under /sys/class/infiniband; device is "mlx5_0/1" (adapter, port).

    RDMA traffic passes by the kernel, so the network source does not see it; here it is counted,
    headers included.
    """

    name = "infiniband"
    period = 5

    def __init__(self, sys: Path = SYS) -> None:
        self._root = sys / "class/infiniband"
        self._paths: list[Path] = []

    def open(self) -> tuple[Channel, ...]:
        """Two channels a port."""
        ports = sorted(port for port in self._root.glob("*/ports/*") if (port / "counters").is_dir())
        if not ports:
            raise SensorUnavailable(f"no InfiniBand adapter under {self._root}")
        self._paths = [port / "counters" / file for port in ports for file in _COUNTERS.values()]
        return tuple(
            Channel(source="infiniband", name=name, unit="B", device=_device(port), cumulative=True)
            for port in ports
            for name in _COUNTERS
        )

    def read(self) -> Sequence[float]:
        """NaN where the adapter does not answer."""
        return [_octets(read_number(path)) for path in self._paths]


def _device(port: Path) -> str:
    return f"{port.parent.parent.name}/{port.name}"


def _octets(count: float | None) -> float:
    return math.nan if count is None else count * _LANES


MEMBER = InfinibandSource
