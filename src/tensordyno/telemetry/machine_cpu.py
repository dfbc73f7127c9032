"""What the system tells about the processor: model, topology, clock settings, instruction sets."""

import platform
from pathlib import Path
from typing import NamedTuple

from tensordyno.telemetry.kernel_files import read_text

# Those that decide how fast a network can run, as /proc/cpuinfo names them -> as the field does.
_X86_SETS = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx_vnni_int8", "avx_ne_convert"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
)
_ARM_SETS = {
    "asimd": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
}


class CpuFacts(NamedTuple):
    """The processor; None means that the system does not tell."""

    model: str
    sockets: int | None
    threads_per_core: int | None
    governor: str | None
    turbo: str | None
    instruction_sets: tuple[str, ...]
    is_virtual: bool


def cpu_facts(root: Path) -> CpuFacts:
    """Read from /proc/cpuinfo and /sys/devices/system/cpu below `root`."""
    entry = _first_entry(root / "proc/cpuinfo")
    flags = frozenset((entry.get("flags") or entry.get("Features") or "").split())
    folder = root / "sys/devices/system/cpu"
    return CpuFacts(
        model=_model(entry),
        sockets=_sockets(folder),
        threads_per_core=_threads_per_core(folder),
        governor=_governor(folder),
        turbo=_turbo(folder),
        instruction_sets=_instruction_sets(flags),
        is_virtual="hypervisor" in flags,
    )


def _first_entry(cpuinfo: Path) -> dict[str, str]:
    """The lines of the first logical CPU."""
    first = (read_text(cpuinfo) or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _model(entry: dict[str, str]) -> str:
    if "model name" in entry:
        return entry["model name"]
    if "CPU part" in entry:  # ARM tells numbers only; lscpu has a table of them
        return f"ARM implementer {entry.get('CPU implementer', '?')} part {entry['CPU part']}"
    return platform.processor() or platform.machine()


def _instruction_sets(flags: frozenset[str]) -> tuple[str, ...]:
    if "asimd" in flags:
        return tuple(name for flag, name in _ARM_SETS.items() if flag in flags)
    return tuple(flag for flag in _X86_SETS if flag in flags)


def _sockets(folder: Path) -> int | None:
    packages = {read_text(path) for path in folder.glob("cpu[0-9]*/topology/physical_package_id")} - {None}
    return len(packages) or None


def _threads_per_core(folder: Path) -> int | None:
    siblings = read_text(folder / "cpu0/topology/thread_siblings_list")
    return None if siblings is None else count_cpus(siblings)


def count_cpus(cpu_list: str) -> int:
    """How many CPUs a list of the kernel's form names: `count_cpus("0-3,8")` is 5."""
    ends = (part.partition("-") for part in cpu_list.split(","))
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def _governor(folder: Path) -> str | None:
    found = {read_text(path) for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {None}
    return ", ".join(sorted(str(name) for name in found)) or None


def _turbo(folder: Path) -> str | None:
    """Either on or off: intel_pstate says if turbo is forbidden, other drivers if boost is allowed."""
    forbidden = read_text(folder / "intel_pstate/no_turbo")
    if forbidden is not None:
        return "off" if forbidden == "1" else "on"
    allowed = read_text(folder / "cpufreq/boost")
    return None if allowed is None else ("on" if allowed == "1" else "off")
