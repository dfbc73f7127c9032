"""What decides whether a GPU can be measured here: driver, MIG, compute mode, who else computes on it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.nvml_library import start_nvml, text
from tensordyno.units import bytes_text

_BUSY = 10.0  # per cent: a GPU that nobody computes on shows 0, whatever hides its processes


class ComputeMode(StrEnum):
    """Who may compute on a GPU, as nvidia-smi names it."""

    DEFAULT = "Default"
    PROHIBITED = "Prohibited"
    EXCLUSIVE = "Exclusive_Process"


@dataclass(frozen=True)
class GpuUser:
    """A process that computes on a GPU. `memory_bytes` None: the driver does not tell."""

    pid: int
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """One GPU in nvidia-smi's order."""

    index: int
    name: str = "NVIDIA GPU"
    uuid: str = ""
    mig: bool = False  # cut into slices
    mig_instances: int = 0
    compute_mode: ComputeMode = ComputeMode.DEFAULT
    users: tuple[GpuUser, ...] = ()  # other than this process
    utilisation: float | None = None  # per cent of time with a kernel running, of late
    reason: str = ""  # why the driver tells nothing of it and it cannot be used


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """All GPUs that the driver shows, and the driver. `reason` says why there are none."""

    states: tuple[GpuState, ...] = ()
    driver: str = ""  # 580.159.04
    cuda: tuple[int, int] | None = None  # newest that the driver speaks
    reason: str = ""


def gpu_states(library: Any | None = None) -> Gpus:
    """Ask the driver through `library`, or else NVML's binding. Never raises: what is wrong is a reason."""
    try:
        nvml = start_nvml(library)
    except SensorUnavailable as wrong:
        return Gpus(reason=_no_driver(wrong))
    try:
        return Gpus(
            states=tuple(_state(nvml, index) for index in range(nvml.nvmlDeviceGetCount())),
            driver=text(nvml.nvmlSystemGetDriverVersion()),
            cuda=_cuda_version(nvml),
        )
    except nvml.NVMLError as wrong:
        return Gpus(reason=_driver_says(wrong))
    finally:
        nvml.nvmlShutdown()


def in_use(state: GpuState) -> str:
    """'gpu0 (NVIDIA H200) is in use by another process (pid 4242, 1.9 GiB)'; "" when nobody is seen."""
    name = f"gpu{state.index} ({state.name})"
    if state.users:
        several = len(state.users) > 1
        who = f"{len(state.users)} other processes" if several else "another process"
        return f"{name} is in use by {who} ({', '.join(map(_user, state.users))})"
    if state.utilisation is not None and state.utilisation >= _BUSY:
        return f"{name} is {state.utilisation:.0f} % busy, and the driver does not show by whom"
    return ""


def _user(user: GpuUser) -> str:
    memory = "" if user.memory_bytes is None else f", {bytes_text(user.memory_bytes)}"
    return f"pid {user.pid}{memory}"


_WHY = {
    "NVMLError_LibraryNotFound": "there is no NVIDIA driver here (a container must be given its GPUs)",
    "NVMLError_DriverNotLoaded": "no NVIDIA driver answers: it is installed but not loaded; "
    "as administrator, type: modprobe nvidia",
    "NVMLError_LibRmVersionMismatch": "no NVIDIA driver answers: it was updated, and its kernel module is "
    "still the old one; restart the machine",
    "NVMLError_NoPermission": "no NVIDIA driver answers: this user may not open /dev/nvidia*",
    "NVMLError_GpuIsLost": "it fell off the bus; restart the machine",
    "NVMLError_ResetRequired": "it must be reset; as administrator, type: nvidia-smi --gpu-reset",
}


def _driver_says(wrong: BaseException) -> str:
    known = _WHY.get(type(wrong).__name__)
    return known or f"no NVIDIA driver answers: {' '.join(str(wrong).split())}"


def _no_driver(unavailable: SensorUnavailable) -> str:
    """The driver's own error where there is one; else the binding is missing, and the message says so."""
    cause = unavailable.__cause__
    return str(unavailable) if cause is None or isinstance(cause, ImportError) else _driver_says(cause)


def _cuda_version(nvml: Any) -> tuple[int, int] | None:
    """(13, 0). Version 2 asks the CUDA library in use, which may be newer than the kernel module."""
    for question in ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"):
        version = _told(nvml, partial(_call, nvml, question), None)
        if version:
            return version // 1000, version % 1000 // 10
    return None


def _call(nvml: Any, name: str, *arguments: Any) -> Any:
    return getattr(nvml, name)(*arguments)


def _told(nvml: Any, ask: Callable[[], Any], otherwise: Any) -> Any:
    """The answer, or `otherwise` where this driver, binding or GPU cannot tell or may not."""
    try:
        return ask()
    except (nvml.NVMLError, AttributeError):
        return otherwise


def _state(nvml: Any, index: int) -> GpuState:
    try:
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        name = text(nvml.nvmlDeviceGetName(gpu))
    except nvml.NVMLError as wrong:
        return GpuState(index=index, reason=_gpu_says(wrong))
    mig = _told(nvml, lambda: nvml.nvmlDeviceGetMigMode(gpu)[0] == nvml.NVML_DEVICE_MIG_ENABLE, False)
    rates = _told(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu, None)
    return GpuState(
        index=index,
        name=name,
        uuid=text(_told(nvml, lambda: nvml.nvmlDeviceGetUUID(gpu), "")),
        mig=mig,
        mig_instances=_slices(nvml, gpu) if mig else 0,
        compute_mode=_compute_mode(nvml, gpu),
        users=_users(nvml, gpu),
        utilisation=None if rates is None else float(rates),
    )


def _gpu_says(wrong: BaseException) -> str:
    if type(wrong).__name__ == "NVMLError_NoPermission":
        return "this user may not use it"
    return _WHY.get(type(wrong).__name__) or f"the driver says: {' '.join(str(wrong).split())}"


def _slices(nvml: Any, gpu: Any) -> int:
    most = _told(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(gpu), 0)
    name = "nvmlDeviceGetMigDeviceHandleByIndex"
    found = (_told(nvml, partial(_call, nvml, name, gpu, place), None) for place in range(most))
    return sum(handle is not None for handle in found)


def _compute_mode(nvml: Any, gpu: Any) -> ComputeMode:
    modes = {
        nvml.NVML_COMPUTEMODE_PROHIBITED: ComputeMode.PROHIBITED,
        nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS: ComputeMode.EXCLUSIVE,
    }
    return modes.get(_told(nvml, lambda: nvml.nvmlDeviceGetComputeMode(gpu), None), ComputeMode.DEFAULT)


def _users(nvml: Any, gpu: Any) -> tuple[GpuUser, ...]:
    seen = _told(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(gpu), ())
    return tuple(GpuUser(user.pid, user.usedGpuMemory) for user in seen if user.pid != os.getpid())
