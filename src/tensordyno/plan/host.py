"""What a plan must know of this machine, found without importing any framework."""

import importlib.util
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


def has_package(name: str) -> bool:
    """Whether a Python package is installed here; it is looked for, not imported."""
    return importlib.util.find_spec(name) is not None


@cache
def count_gpus() -> int:
    """NVIDIA GPUs that the driver shows; 0 without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def has_glibc() -> bool:
    """Whether Python's C library is glibc, whose malloc the allocator 'keep' speaks to."""
    return platform.libc_ver()[0] == "glibc"


@dataclass(frozen=True)
class Host:
    """The questions a plan asks of a machine; tests answer them for machines they do not have."""

    has_package: Callable[[str], bool] = has_package
    count_gpus: Callable[[], int] = count_gpus
    has_glibc: Callable[[], bool] = has_glibc
