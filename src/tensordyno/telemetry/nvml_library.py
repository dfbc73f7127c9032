"""Finds NVIDIA's management library (NVML) and the GPUs that it shows."""

import importlib
from typing import Any

from tensordyno.telemetry.base import SensorUnavailable


def start_nvml(library: Any | None = None) -> Any:
    """NVML's Python binding, initialised: `library`, or else the package nvidia-ml-py (`pynvml`).

    The caller owes one `nvmlShutdown`; NVML counts.
    Raises SensorUnavailable when there is no driver.
    """
    nvml: Any = library
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError as wrong:
            raise SensorUnavailable(
                f"no NVIDIA driver binding: {wrong} (type: pip install nvidia-ml-py)"
            ) from wrong
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as wrong:
        raise SensorUnavailable(f"no NVIDIA driver: {wrong}") from wrong
    return nvml


def gpu_handles(library: Any) -> list[Any]:
    """A handle for each GPU in NVML's order, which is nvidia-smi's."""
    return [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]


def gpu_names(library: Any | None = None) -> tuple[str, ...]:
    """The GPUs' own names in NVML's order; empty where there is no driver."""
    try:
        nvml = start_nvml(library)
    except SensorUnavailable:
        return ()
    try:
        return tuple(text(nvml.nvmlDeviceGetName(handle)) for handle in gpu_handles(nvml))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def text(value: str | bytes) -> str:
    """NVML's strings, which old bindings give as bytes."""
    return value.decode() if isinstance(value, bytes) else value
