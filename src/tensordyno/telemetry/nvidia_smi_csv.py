"""Writes GPU telemetry as `nvidia-smi --query-gpu=... --format=csv` prints it, column names and units too."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tensordyno.records.reading import DeviceFacts
from tensordyno.store.reader import Series

_MEBI = 1 << 20
_NOT_AVAILABLE = "[N/A]"


class _Column(NamedTuple):
    heading: str
    channel: str
    text: Callable[[float], str]


def _whole(unit: str = "", scale: float = 1.0) -> Callable[[float], str]:
    """Rounded up, as nvidia-smi of driver 580 does with memory sizes; the others are whole anyway."""
    tail = f" {unit}" if unit else ""
    return lambda value: f"{math.ceil(value / scale)}{tail}"


def _watts(value: float) -> str:
    return f"{value:.2f} W"


_LABELS = ("name", "pci.bus_id", "driver_version", "uuid")
# what one asks for -> the heading that nvidia-smi prints, our channel, and the form of the value
_COLUMNS = {
    "pstate": _Column("pstate", "pstate", lambda value: f"P{value:.0f}"),
    "pcie.link.gen.max": _Column("pcie.link.gen.max", "pcie_gen_max", _whole()),
    "pcie.link.gen.current": _Column("pcie.link.gen.current", "pcie_gen", _whole()),
    "pcie.link.width.max": _Column("pcie.link.width.max", "pcie_width_max", _whole()),
    "pcie.link.width.current": _Column("pcie.link.width.current", "pcie_width", _whole()),
    "temperature.gpu": _Column("temperature.gpu", "temperature", _whole()),
    "utilization.gpu": _Column("utilization.gpu [%]", "utilisation_gpu", _whole("%")),
    "utilization.memory": _Column("utilization.memory [%]", "utilisation_memory", _whole("%")),
    "memory.total": _Column("memory.total [MiB]", "memory_total", _whole("MiB", _MEBI)),
    "memory.free": _Column("memory.free [MiB]", "memory_free", _whole("MiB", _MEBI)),
    "memory.used": _Column("memory.used [MiB]", "memory_used", _whole("MiB", _MEBI)),
    "power.draw": _Column("power.draw [W]", "power", _watts),
    "power.draw.instant": _Column("power.draw.instant [W]", "power_instant", _watts),
    "power.draw.average": _Column("power.draw.average [W]", "power_average", _watts),
    "clocks.sm": _Column("clocks.current.sm [MHz]", "sm_clock", _whole("MHz", 1e6)),
    "clocks.mem": _Column("clocks.current.memory [MHz]", "memory_clock", _whole("MHz", 1e6)),
    "clocks_event_reasons.active": _Column(
        "clocks_event_reasons.active", "throttle_reasons", lambda value: f"0x{int(value):016x}"
    ),
}

# The query of "Deep Learning Inference on PowerEdge R7425" (Dell, 2019), its telemetry section.
T4_QUERY = (
    *("timestamp", "name", "pci.bus_id", "driver_version", "pstate"),
    *("pcie.link.gen.max", "pcie.link.gen.current", "temperature.gpu"),
    *("utilization.gpu", "utilization.memory", "memory.total", "memory.free", "memory.used"),
)
FULL_QUERY = ("timestamp", *_LABELS, *_COLUMNS)


def nvidia_smi_csv(
    series: Iterable[Series],
    devices: Iterable[DeviceFacts],
    started: datetime,
    clock_start_s: float,
    query: Sequence[str] = FULL_QUERY,
) -> str:
    """The readings of source `nvml` as nvidia-smi's CSV, one line a GPU and reading, oldest first.

    `started` is the wall-clock time at which the monotonic clock showed `clock_start_s` (both stand
    in a run's header); time stamps are printed in its time zone. Raises ValueError for a column in
    `query` that is neither "timestamp" nor known here.
    """
    unknown = [name for name in query if name not in FULL_QUERY]
    if unknown:
        raise ValueError(f"no such column: {', '.join(unknown)}; known: {', '.join(FULL_QUERY)}")
    labels = {facts.device: facts.labels for facts in devices if facts.source == "nvml"}
    lines = [", ".join(_COLUMNS[name].heading if name in _COLUMNS else name for name in query)]
    for (time_s, device), values in sorted(_rows(series).items()):
        at = started + timedelta(seconds=time_s - clock_start_s)
        row = {"timestamp": f"{at:%Y/%m/%d %H:%M:%S}.{at.microsecond // 1000:03d}", **labels.get(device, {})}
        lines.append(", ".join(_cell(name, row, values) for name in query))
    return "\n".join(lines) + "\n"


def _rows(series: Iterable[Series]) -> dict[tuple[float, str], dict[str, float]]:
    """Values by (time in seconds, device), then by channel."""
    rows: dict[tuple[float, str], dict[str, float]] = {}
    for one in series:
        if one.channel.source == "nvml":
            for time_s, value in zip(one.times_s, one.values, strict=True):
                row = rows.setdefault((float(time_s), one.channel.device), {})
                row[one.channel.name] = float(value)
    return rows


def _cell(name: str, row: dict[str, str], values: dict[str, float]) -> str:
    if name not in _COLUMNS:
        return row.get(name, _NOT_AVAILABLE)
    column = _COLUMNS[name]
    value = values.get(column.channel, math.nan)
    return column.text(value) if math.isfinite(value) else _NOT_AVAILABLE
