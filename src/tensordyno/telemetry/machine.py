"""The machine that a run takes place on, as far as the system tells; no framework is imported."""

import os
import platform
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tensordyno.records.machine import MachineFacts
from tensordyno.telemetry import machine_host as host
from tensordyno.telemetry.machine_cpu import cpu_facts
from tensordyno.telemetry.nvml_library import gpu_names

PACKAGES = (
    *("torch", "torchvision", "timm", "triton", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino"),
    *("tensorrt", "numpy", "safetensors", "nvidia-ml-py"),
)


def machine_facts(
    root: Path = Path("/"), nvml: Any | None = None, spin_rate: float | None = None
) -> MachineFacts:
    """Read everything anew. `root` is the file system to look into, `nvml` an NVML binding to ask."""
    cpu = cpu_facts(root)
    return MachineFacts(
        hostname=socket.gethostname(),
        os=host.os_name(root),
        kernel=platform.release(),
        cpu=cpu.model,
        cores=_allowed_cores(),
        cpu_quota=host.cpu_quota(root),
        sockets=cpu.sockets,
        threads_per_core=cpu.threads_per_core,
        memory_bytes=host.memory_bytes(root),
        memory_limit_bytes=host.memory_limit_bytes(root),
        governor=cpu.governor,
        turbo=cpu.turbo,
        virtual=host.hypervisor(root) if cpu.is_virtual else None,
        container=host.container(root),
        instruction_sets=cpu.instruction_sets,
        gpus=gpu_names(nvml),
        python=platform.python_version(),
        packages=installed(PACKAGES),
        spin_rate=spin_rate,
    )


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of those distributions that are installed, name -> version."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _allowed_cores() -> int:
    """Logical CPUs that the scheduler may put this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
