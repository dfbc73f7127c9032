"""What the system says of a device: its name, and the instructions of the CPU."""

from functools import cache
from pathlib import Path

from tensordyno.device import device_index

_CPUINFO = Path("/proc/cpuinfo")

# Instructions that compute on these formats natively, by the kernel's names (x86, then Arm).
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})
FP16_FLAGS = frozenset({"avx512_fp16", "amx_fp16", "asimdhp"})


def device_name(device: str) -> str:
    """The device's own name, for "cpu" or "cuda:N"; the device string when the system does not tell."""
    if device.startswith("cpu"):
        return cpu_name()
    return _gpu_name(device_index(device)) or device


@cache
def cpu_name(cpuinfo: Path = _CPUINFO) -> str:
    """Model name of the CPU, "AMD EPYC 9654"; "cpu" when the system does not tell."""
    fields = _first_processor(cpuinfo)
    return fields.get("model name") or fields.get("Model") or fields.get("CPU part") or "cpu"


@cache
def cpu_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Instruction sets of the CPU by the kernel's names; empty when the system does not tell."""
    fields = _first_processor(cpuinfo)
    return frozenset((fields.get("flags") or fields.get("Features") or "").split())


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _gpu_name(index: int) -> str | None:
    try:
        import pynvml
    except ImportError:  # an interpreter of its own may lack it
        return None
    try:
        pynvml.nvmlInit()
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
    except pynvml.NVMLError:
        return None
    return name.decode() if isinstance(name, bytes) else str(name)
