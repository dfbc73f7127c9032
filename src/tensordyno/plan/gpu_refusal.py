"""Why a trial cannot run on the GPUs that it asks for: one line, with what to type where that helps."""

from itertools import starmap

from tensordyno.device import device_index
from tensordyno.engines.base import Engine
from tensordyno.plan.cuda_build import CudaBuild
from tensordyno.plan.host import Host
from tensordyno.records.trial import Trial
from tensordyno.telemetry.gpu_state import ComputeMode, Gpus, GpuState

_NAMES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
_WITH_CUDA = {
    "torch": "pip install --force-reinstall torch",
    "onnxruntime": "pip uninstall onnxruntime; pip install onnxruntime-gpu",
}


def gpu_refusal(trial: Trial, engine: type[Engine], host: Host) -> str | None:
    """None when nothing is known to stand in the way; trials on other devices are not looked at."""
    if not trial.device.startswith("cuda") or engine.simulates:
        return None
    gpus = host.gpus()
    if gpus.reason or not gpus.states:
        return gpus.reason or "the NVIDIA driver shows no GPU"
    found = gpus_of(trial, host)
    return (
        _there(trial, len(found), len(gpus.states), host.visible_devices())
        or next(filter(None, starmap(_usable, found.items())), None)
        or _built(trial, engine, gpus, host)
    )


def gpus_of(trial: Trial, host: Host) -> dict[int, GpuState]:
    """The GPUs that a trial on cuda takes, one a rank, under CUDA's numbers; fewer where there are no more.

    CUDA numbers what CUDA_VISIBLE_DEVICES leaves (its C++ Programming Guide, "CUDA Environment Variables").
    """
    states = host.gpus().states
    setting = host.visible_devices()
    seen = states if setting is None else _seen_by_cuda(states, setting)
    first = device_index(trial.device)
    return dict(list(enumerate(seen))[first : first + trial.devices])


def _there(trial: Trial, found: int, count: int, setting: str | None) -> str | None:
    if found == trial.devices:
        return None
    has = f"this machine has {count} NVIDIA GPU{'s'[: count != 1]}"
    if setting is not None:
        has += f", of which CUDA_VISIBLE_DEVICES={setting} hides some"
    if found:
        return f"{trial.devices} GPUs asked for from {trial.device} on: {has}"
    return f"{trial.device} does not exist: {has}"


def _seen_by_cuda(states: tuple[GpuState, ...], setting: str) -> tuple[GpuState, ...]:
    """Numbers or beginnings of UUIDs, up to the first that means no GPU or several."""
    seen: list[GpuState] = []
    for word in (part.strip() for part in setting.split(",")):
        if word.isascii() and word.isdecimal():
            found = [state for state in states if state.index == int(word)]
        else:
            found = [state for state in states if word and state.uuid.startswith(word)]
        if len(found) != 1:
            break
        seen += found
    return tuple(seen)


def _usable(number: int, gpu: GpuState) -> str | None:
    name = f"cuda:{number} ({gpu.name})"
    if gpu.reason:
        return f"cuda:{number} cannot be used: {gpu.reason}"
    if gpu.mig:
        return (
            f"{name} is in MIG mode ({gpu.mig_instances} slices), and this version measures whole GPUs: "
            f"choose another, or, as administrator, type: nvidia-smi -i {gpu.index} -mig 0"
        )
    allow = f"as administrator, type: nvidia-smi -i {gpu.index} -c DEFAULT"
    if gpu.compute_mode is ComputeMode.PROHIBITED:
        return f"{name} is in compute mode {gpu.compute_mode}; {allow}"
    if gpu.compute_mode is ComputeMode.EXCLUSIVE and gpu.users:
        pids = ", ".join(str(user.pid) for user in gpu.users)
        return f"{name} is in compute mode {gpu.compute_mode} and taken (pid {pids}): wait, or {allow}"
    return None


def _built(trial: Trial, engine: type[Engine], gpus: Gpus, host: Host) -> str | None:
    """Whether the engine's framework speaks CUDA, and none that is newer than the driver's."""
    if trial.engine.python is not None:  # that interpreter has packages of its own; its receipt tells
        return None
    for package in engine.packages:
        build = host.cuda_build(package)
        reason = None if build is None else _fits(package, build, gpus)
        if reason:
            return reason
    return None


def _fits(package: str, build: CudaBuild, gpus: Gpus) -> str | None:
    """Within a major version older drivers serve newer libraries (NVIDIA's minor version compatibility)."""
    name = _NAMES[package]
    if not build.cuda:
        return f"this {name} ({build.version}) was built without CUDA. Type: {_WITH_CUDA[package]}"
    if gpus.cuda is None or int(build.cuda.split(".")[0]) <= gpus.cuda[0]:
        return None
    major, minor = gpus.cuda
    return (
        f"driver {gpus.driver} speaks CUDA {major}.{minor}, and this {name} was built for CUDA {build.cuda}: "
        f"update the driver, or install a {name} built for CUDA {major}"
    )
