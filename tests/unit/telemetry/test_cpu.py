import math

import fake_system
import pytest

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.cpu import CpuSource


@pytest.fixture
def root(tmp_path):
    return fake_system.machine(tmp_path)


def open_source(root):
    source = CpuSource(root / "proc", root / "sys")
    channels = source.open()
    return source, {(c.name, c.device): i for i, c in enumerate(channels)}


def test_utilisation_is_the_share_of_the_ticks_since_the_last_reading(root):
    source, at = open_source(root)
    # node: 100 ticks passed, 30 user, 10 system, 5 stolen, 55 idle or waiting for a disk
    node, busy, idle = "cpu  230 0 110 745 10 0 0 5", "cpu0 140 0 60 350 0 0 0 0", "cpu1 100 0 50 400 0 0 0 0"
    fake_system.write(root, {"proc/stat": f"{node}\n{busy}\n{idle}\n"})
    values = source.read()
    assert values[at["utilisation", ""]] == pytest.approx(40)
    assert values[at["steal", ""]] == pytest.approx(5)
    assert values[at["utilisation", "cpu0"]] == 100
    assert values[at["utilisation", "cpu1"]] == 0
    source.close()


def test_frequency_is_in_hertz_and_load_is_the_one_minute_average(root):
    source, at = open_source(root)
    values = source.read()
    assert values[at["frequency", "cpu0"]] == 3.7e9
    assert values[at["frequency", "cpu1"]] == 1.5e9
    assert values[at["load", ""]] == 0.5
    assert source.lacking() == ()
    source.close()


def test_no_tick_passed_is_unknown_not_idle(root):
    source, at = open_source(root)
    assert math.isnan(source.read()[at["utilisation", "cpu0"]])
    source.close()


def test_a_core_that_goes_offline_is_unknown_until_it_has_been_back_for_a_reading(root):
    source, at = open_source(root)
    fake_system.write(root, {"proc/stat": "cpu  240 0 100 760 0 0 0 0\ncpu0 140 0 50 410 0 0 0 0\n"})
    values = source.read()
    assert values[at["utilisation", "cpu0"]] == pytest.approx(40)
    assert math.isnan(values[at["utilisation", "cpu1"]])
    source.close()


def test_a_machine_without_cpufreq_has_no_frequency_and_says_why(tmp_path):
    fake_system.write(tmp_path, {"proc/stat": fake_system.STAT, "proc/loadavg": "0 0 0 1/1 1"})
    source, at = open_source(tmp_path)
    assert not [name for name, _ in at if name == "frequency"]
    assert "cpufreq" in source.lacking()[0]
    source.close()


def test_another_system_than_linux_has_no_proc(tmp_path):
    with pytest.raises(SensorUnavailable, match="stat: No such file"):
        CpuSource(tmp_path / "proc", tmp_path / "sys").open()
