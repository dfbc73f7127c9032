"""What a plan must know of this machine, found without importing any framework."""

import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tensordyno.plan.cuda_build import CudaBuild, cuda_build
from tensordyno.telemetry.gpu_state import Gpus, gpu_states


def has_package(name: str) -> bool:
    """Whether a Python package is installed here; it is looked for, not imported."""
    return importlib.util.find_spec(name) is not None


@cache
def gpus() -> Gpus:
    """The NVIDIA GPUs of this machine, asked once a process, or the reason why there are none."""
    return gpu_states()


def has_glibc() -> bool:
    """Whether Python's C library is glibc, whose malloc the allocator 'keep' speaks to."""
    return platform.libc_ver()[0] == "glibc"


def visible_devices() -> str | None:
    """What CUDA_VISIBLE_DEVICES says; None when it is not set."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Host:
    """The questions a plan asks of a machine; tests answer them for machines they do not have."""

    has_package: Callable[[str], bool] = has_package
    gpus: Callable[[], Gpus] = gpus
    has_glibc: Callable[[], bool] = has_glibc
    cuda_build: Callable[[str], CudaBuild | None] = cuda_build
    visible_devices: Callable[[], str | None] = visible_devices
    ranks: int | None = None  # that torchrun or mpirun started; None: no launcher, so any number
