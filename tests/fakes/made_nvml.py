"""NVML readings of made-up GPUs: idle, busy, capped by power, an energy counter that fits their power."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tensordyno.records.reading import Channel, ChannelSet, DeviceFacts, Reading
from tensordyno.records.wire import encode_line

UNITS = {  # of the channels that figures and checks read
    "utilisation_gpu": "%",
    "utilisation_memory": "%",
    "memory_total": "B",
    "memory_used": "B",
    "temperature": "degC",
    "sm_clock": "Hz",
    "memory_clock": "Hz",
    "throttle_reasons": "1",
    "power_limit": "W",
    "power": "W",
    "power_instant": "W",
    "energy": "J",
    "pcie_tx": "B/s",
    "pcie_rx": "B/s",
}


class Load(NamedTuple):
    """A stretch in which the first so many GPUs worked, each drawing so many watts."""

    start_s: float
    stop_s: float
    gpus: int
    watts: float


class MadeGpus(NamedTuple):
    """The GPUs of one host, all alike."""

    name: str
    count: int
    driver: str
    host: str
    limit_w: float
    idle_w: float


def write_readings(path: Path, gpus: MadeGpus, loads: Sequence[Load], times: np.ndarray) -> None:
    """Channels, devices, and a reading of all GPUs at each of these times."""
    channels = tuple(
        Channel(source="nvml", name=name, unit=unit, device=f"gpu{index}", cumulative=name == "energy")
        for index in range(gpus.count)
        for name, unit in UNITS.items()
    )
    lines = [encode_line(ChannelSet(source="nvml", channels=channels))]
    lines += [encode_line(_facts(gpus, index)) for index in range(gpus.count)]
    table = np.concatenate([_gpu(gpus, index, times, loads) for index in range(gpus.count)], axis=1)
    for at, row in zip(times, table, strict=True):
        values = tuple(round(float(v), 3) for v in row)
        lines.append(encode_line(Reading(t_s=round(float(at), 4), values=values)))
    path.write_bytes(b"".join(lines))


def _facts(gpus: MadeGpus, index: int) -> DeviceFacts:
    labels = {
        "name": gpus.name,
        "pci.bus_id": f"00000000:0{index}:00.0",
        "driver_version": gpus.driver,
        "uuid": f"GPU-0000000{index}-{gpus.host}",
    }
    return DeviceFacts(source="nvml", device=f"gpu{index}", labels=labels)


def _gpu(gpus: MadeGpus, index: int, times: np.ndarray, loads: Sequence[Load]) -> np.ndarray:
    """Readings of one GPU, a column a channel in the order of UNITS."""
    random = seeded("gpu", index, gpus.name)
    watts = np.full(times.size, gpus.idle_w)
    busy = np.zeros(times.size, dtype=bool)
    for load in loads:
        now = (times >= load.start_s) & (times < load.stop_s) & (index < load.gpus)
        watts[now], busy[now] = load.watts, True
    watts = watts + random.normal(0, 1.5, times.size)
    capped = busy & (watts > 0.97 * gpus.limit_w)
    heat = 32 + 30 * np.convolve(busy, np.ones(40) / 40)[: times.size]
    columns = {
        "utilisation_gpu": np.where(busy, 99, 0),
        "utilisation_memory": np.where(busy, 41, 0),
        "memory_total": np.full(times.size, 141e9),
        "memory_used": np.where(busy, 9.2e9, 0.6e9),
        "temperature": np.round(heat),
        "sm_clock": np.where(capped, 1.41e9, np.where(busy, 1.98e9, 0.345e9)),
        "memory_clock": np.full(times.size, 3.201e9),
        "throttle_reasons": np.where(capped, 4, np.where(busy, 0, 1)),
        "power_limit": np.full(times.size, gpus.limit_w),
        "power": watts,
        "power_instant": watts,
        "energy": 3e6 + np.concatenate(([0.0], np.cumsum(watts[:-1] * np.diff(times)))),
        "pcie_tx": np.where(busy, 2e6, 0),
        "pcie_rx": np.where(busy, 5e6, 0),
    }
    return np.stack([columns[name] for name in UNITS], axis=1)


def seeded(*words: object) -> np.random.Generator:
    """Random numbers that depend on these words alone."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
