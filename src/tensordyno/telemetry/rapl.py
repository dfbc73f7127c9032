"""RAPL: energy counters of the processor packages, their parts, and the memory."""

import math
from collections.abc import Sequence
from pathlib import Path

from tensordyno.records.reading import Channel
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.kernel_files import SYS, KernelFile, read_number, read_text

_JOULES = 1e-6  # of a microjoule


class Unwrapped:
    """A counter that starts again at zero after `range_uj`, made to grow for ever.

    One wrap between two readings is seen, two are not: a package at 400 W wraps its usual 262 kJ
    after 11 minutes.
    """

    def __init__(self, range_uj: float) -> None:
        self._range_uj = range_uj
        self._last_uj: float | None = None
        self._wrapped_uj = 0.0

    def joules(self, counter_uj: float) -> float:
        """The energy counted so far in joules, given the raw counter in microjoules.

        NaN from a wrap on when the system did not tell the counter's range.
        """
        if self._last_uj is not None and counter_uj < self._last_uj:
            self._wrapped_uj += self._range_uj
        self._last_uj = counter_uj
        return (self._wrapped_uj + counter_uj) * _JOULES


class RaplSource(Source):
    """Zones of /sys/class/powercap (Documentation/power/powercap/powercap.rst), Intel's and AMD's.

    Device is the zone's name: "package-0", and "package-0/core" for a part of it, whose energy the
    package's includes. "package-0/dram" is beside the package, and "psys" holds the whole platform.
    """

    name = "rapl"

    def __init__(self, sys: Path = SYS) -> None:
        self._root = sys / "class/powercap"
        self._zones: list[tuple[KernelFile, Unwrapped]] = []
        self._lacking: tuple[str, ...] = ()

    def open(self) -> tuple[Channel, ...]:
        """One cumulative channel a zone."""
        zones = sorted(self._root.glob("intel-rapl:*"))
        if not zones:
            raise SensorUnavailable(
                f"no energy counters under {self._root}: a virtual machine or a container that hides them, "
                "or the module is not loaded (type: sudo modprobe intel_rapl_msr)"
            )
        denied: list[str] = []
        channels = [channel for zone in zones if (channel := self._open_zone(zone, denied))]
        if not channels:
            raise SensorUnavailable("; ".join(denied))
        self._lacking = tuple(denied)
        return tuple(channels)

    def read(self) -> Sequence[float]:
        """Joules; NaN where the zone does not answer."""
        return [_read(file, unwrapped) for file, unwrapped in self._zones]

    def lacking(self) -> tuple[str, ...]:
        """Zones that may not be read."""
        return self._lacking

    def close(self) -> None:
        """Close the kept files."""
        for file, _ in self._zones:
            file.close()

    def _open_zone(self, zone: Path, denied: list[str]) -> Channel | None:
        try:
            file = KernelFile(zone / "energy_uj").open()
        except PermissionError:
            denied.append(
                f"{_zone_name(zone)}: only root may read the energy counter (CVE-2020-8694); "
                f"type: sudo chmod a+r {self._root}/intel-rapl:*/energy_uj"
            )
            return None
        except OSError as wrong:
            denied.append(f"{_zone_name(zone)}: {wrong.strerror}")
            return None
        range_uj = read_number(zone / "max_energy_range_uj")
        self._zones.append((file, Unwrapped(math.nan if range_uj is None else range_uj)))
        return Channel(source="rapl", name="energy", unit="J", device=_zone_name(zone), cumulative=True)


def _zone_name(zone: Path) -> str:
    """Its own name, after its parent's: "intel-rapl:0:1" is part of "intel-rapl:0"."""
    name = read_text(zone / "name") or zone.name
    parent, _, _ = zone.name.rpartition(":")
    if ":" not in parent:
        return name
    return f"{_zone_name(zone.parent / parent)}/{name}"


def _read(file: KernelFile, unwrapped: Unwrapped) -> float:
    try:
        return unwrapped.joules(float(file.read()))
    except (OSError, ValueError):
        return math.nan


MEMBER = RaplSource
