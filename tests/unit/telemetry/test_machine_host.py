import fake_system
import pytest

from tensordyno.telemetry import machine_host as host

GROUP = "sys/fs/cgroup"


def test_the_systems_own_name(tmp_path):
    fake_system.write(
        tmp_path, {"etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'}
    )
    assert host.os_name(tmp_path) == "Debian GNU/Linux 12 (bookworm)"


def test_a_system_without_os_release_is_named_by_python(tmp_path):
    assert host.os_name(tmp_path)


def test_memory_in_bytes(tmp_path):
    assert host.memory_bytes(fake_system.machine(tmp_path)) == 1_000_000 * 1024
    assert host.memory_bytes(tmp_path / "nowhere") == 0


@pytest.mark.parametrize(
    ("vendor", "clocks", "name"),
    [
        ("QEMU", "kvm-clock tsc", "KVM (QEMU)"),
        (None, "tsc kvm-clock", "KVM"),
        ("Microsoft Corporation", "hyperv_clocksource_tsc_page", "Hyper-V (Microsoft Corporation)"),
        ("Amazon EC2", "tsc", "Amazon EC2"),
        (None, "tsc", "unnamed hypervisor"),
    ],
)
def test_hypervisors_by_firmware_and_clock(tmp_path, vendor, clocks, name):
    clock_file = "sys/devices/system/clocksource/clocksource0/available_clocksource"
    fake_system.write(tmp_path, {clock_file: clocks})
    if vendor:
        fake_system.write(tmp_path, {"sys/class/dmi/id/sys_vendor": vendor})
    assert host.hypervisor(tmp_path) == name


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", "kubepods"),
        ("proc/1/cgroup", "5:cpu:/lxc/box\n", "lxc"),
        ("proc/1/cgroup", "0::/init.scope\n", None),
    ],
)
def test_containers(tmp_path, path, content, kind):
    assert host.container(fake_system.write(tmp_path, {path: content})) == kind


def test_the_tightest_quota_on_the_way_up_counts_in_version_2(tmp_path):
    fake_system.write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            f"{GROUP}/outer/inner/cpu.max": "400000 100000\n",
            f"{GROUP}/outer/cpu.max": "150000 100000\n",
            f"{GROUP}/cpu.max": "max 100000\n",
        },
    )
    assert host.cpu_quota(tmp_path) == 1.5


@pytest.mark.parametrize(("quota", "cores"), [("50000", 0.5), ("-1", None)])
def test_quotas_of_version_1(tmp_path, quota, cores):
    folder = f"{GROUP}/cpu/box"
    fake_system.write(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpuset:/\n2:cpu,cpuacct:/box\n0::/\n",
            f"{folder}/cpu.cfs_quota_us": quota,
            f"{folder}/cpu.cfs_period_us": "100000",
        },
    )
    assert host.cpu_quota(tmp_path) == cores


def test_no_control_groups_no_limits(tmp_path):
    assert host.cpu_quota(tmp_path) is None
    assert host.memory_limit_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("limit", "expected"), [("536870912", 536870912), ("max", None), ("9223372036854771712", None)]
)
@pytest.mark.parametrize(
    ("groups", "file"),
    [("0::/box", "box/memory.max"), ("4:memory:/box", "memory/box/memory.limit_in_bytes")],
)
def test_memory_limits_that_bind(tmp_path, limit, expected, groups, file):
    root = fake_system.machine(tmp_path)  # 1 GB of memory
    fake_system.write(root, {"proc/self/cgroup": groups + "\n", f"{GROUP}/{file}": limit})
    assert host.memory_limit_bytes(root) == expected
