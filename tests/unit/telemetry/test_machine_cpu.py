import fake_system
import pytest

from tensordyno.telemetry.machine_cpu import count_cpus, cpu_facts

CPU = "sys/devices/system/cpu"


def test_a_server_with_two_sockets_and_two_threads_a_core(tmp_path):
    fake_system.write(
        tmp_path,
        {
            "proc/cpuinfo": fake_system.CPUINFO,
            f"{CPU}/cpu0/topology/physical_package_id": "0\n",
            f"{CPU}/cpu1/topology/physical_package_id": "1\n",
            f"{CPU}/cpu0/topology/thread_siblings_list": "0,96\n",
            f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
            f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave\n",
            f"{CPU}/cpufreq/boost": "1\n",
        },
    )
    facts = cpu_facts(tmp_path)
    assert facts.model == "AMD EPYC 9654 96-Core Processor"
    assert (facts.sockets, facts.threads_per_core) == (2, 2)
    assert (facts.governor, facts.turbo) == ("performance, powersave", "on")
    assert facts.is_virtual
    assert facts.instruction_sets == (
        *("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vl"),
        *("avx512_vnni", "avx512_bf16"),
    )


def test_arm_is_named_by_its_numbers_and_the_fields_words(tmp_path):
    features = "fp asimd asimdhp asimddp sve i8mm bf16"
    cpuinfo = f"processor\t: 0\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    facts = cpu_facts(fake_system.write(tmp_path, {"proc/cpuinfo": cpuinfo}))
    assert facts.model == "ARM implementer 0x41 part 0xd40"
    assert facts.instruction_sets == ("neon", "fp16", "dotprod", "i8mm", "bf16", "sve")


@pytest.mark.parametrize(("no_turbo", "turbo"), [("0", "on"), ("1", "off")])
def test_intels_driver_says_whether_turbo_is_forbidden(tmp_path, no_turbo, turbo):
    fake_system.write(tmp_path, {f"{CPU}/intel_pstate/no_turbo": no_turbo})
    assert cpu_facts(tmp_path).turbo == turbo


def test_what_the_system_does_not_tell_is_none(tmp_path):
    facts = cpu_facts(tmp_path)
    assert facts[1:5] == (None, None, None, None)
    assert facts.model
    assert facts.instruction_sets == ()
    assert not facts.is_virtual


@pytest.mark.parametrize(("cpu_list", "count"), [("0", 1), ("0,96", 2), ("0-3", 4), ("0-1,8,12-15", 7)])
def test_lists_of_cpus(cpu_list, count):
    assert count_cpus(cpu_list) == count
