"""What vendors publish of their devices: dense operations a second, memory bandwidth, board power."""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec

_TABLE = Path(__file__).parent.parent / "data" / "peaks.toml"


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """One device's public specification; `data/peaks.toml` says how to read it."""

    name: str  # "H200 SXM"
    names: tuple[str, ...]  # patterns of what the driver calls it
    operations: dict[str, float]  # dense, a second, for each precision
    memory: float  # bytes a second
    power_w: float  # of the board
    source: str


@cache
def peaks() -> tuple[Peak, ...]:
    """All that are known."""
    return msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8"))["device"], tuple[Peak, ...])


def peak_of(device_name: str) -> Peak | None:
    """The specification of a device by its driver's name, "NVIDIA H200"; None when it is not in the table.

    A MIG slice is not the whole device, and its share is not in the table either: None.
    """
    if " MIG " in device_name:
        return None
    return next((p for p in peaks() if any(fnmatchcase(device_name, n) for n in p.names)), None)
