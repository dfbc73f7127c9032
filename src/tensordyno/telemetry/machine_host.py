"""What the system tells about itself: its name, what it runs in, and what it may use."""

import platform
from pathlib import Path, PurePosixPath

from tensordyno.telemetry.kernel_files import read_number, read_text

_CLOCK_OF = {"kvm-clock": "KVM", "hyperv": "Hyper-V", "xen": "Xen", "vmware": "VMware"}
_CONTAINER_FILES = {".dockerenv": "docker", "run/.containerenv": "podman"}
_CONTAINER_WORDS = ("kubepods", "docker", "libpod", "containerd", "lxc")


def os_name(root: Path) -> str:
    """PRETTY_NAME of os-release(5), else what Python knows."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        for line in (read_text(root / path) or "").splitlines():
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME":
                return value.strip("\"'")
    return platform.system()


def memory_bytes(root: Path) -> int:
    """MemTotal of the node in bytes; 0 when the system does not tell."""
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return 1024 * int(line.split()[1])
    return 0


def hypervisor(root: Path) -> str:
    """The hypervisor's name, found by its firmware's strings or the clock that it offers.

    Only for a machine whose CPU reports one; /proc/cpuinfo does not say which.
    """
    vendor = read_text(root / "sys/class/dmi/id/sys_vendor")
    product = read_text(root / "sys/class/dmi/id/product_name")
    clocks = read_text(root / "sys/devices/system/clocksource/clocksource0/available_clocksource") or ""
    by_clock = next((name for word, name in _CLOCK_OF.items() if word in clocks), None)
    by_firmware = " ".join(word for word in (vendor, product) if word)
    if by_clock and by_firmware:
        return f"{by_clock} ({by_firmware})"
    return by_clock or by_firmware or "unnamed hypervisor"


def container(root: Path) -> str | None:
    """The kind of container that this process is in, or None when nothing points to one."""
    named = read_text(root / "run/systemd/container")  # set by whoever follows systemd's convention
    if named:
        return named
    for file, kind in _CONTAINER_FILES.items():
        if (root / file).exists():
            return kind
    groups = read_text(root / "proc/1/cgroup") or ""
    return next((word for word in _CONTAINER_WORDS if word in groups), None)


def cpu_quota(root: Path) -> float | None:
    """Cores' worth of time that this process's control groups allow; None when unlimited.

    cpu.max of version 2, cpu.cfs_quota_us / cpu.cfs_period_us of version 1: the tightest counts.
    """
    quotas = [_quota_v2(folder) for folder in _groups(root, "")]
    quotas += [_quota_v1(folder) for folder in _groups(root, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes(root: Path) -> int | None:
    """Bytes that this process's control groups allow; None when it is no less than the node has."""
    limits = [read_number(folder / "memory.max") for folder in _groups(root, "")]
    limits += [read_number(folder / "memory.limit_in_bytes") for folder in _groups(root, "memory")]
    tightest = min((limit for limit in limits if limit is not None), default=None)
    return None if tightest is None or tightest >= memory_bytes(root) else int(tightest)


def _groups(root: Path, controller: str) -> list[Path]:
    """This process's group and those above it, under a v1 controller or ("") version 2."""
    mount = root / "sys/fs/cgroup" / controller
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            inner = PurePosixPath(group.lstrip("/"))
            return [mount / inner, *(mount / above for above in inner.parents)]
    return []


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = (read_text(folder / "cpu.max") or "max").partition(" ")
    return None if quota == "max" else float(quota) / float(period)


def _quota_v1(folder: Path) -> float | None:
    quota, period = read_number(folder / "cpu.cfs_quota_us"), read_number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None
