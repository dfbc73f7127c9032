import math
from itertools import accumulate, pairwise

import fake_system
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.kernel_files import KernelFile
from tensordyno.telemetry.rapl import RaplSource, Unwrapped

RANGE_UJ = 262_143_328_850


@given(
    start=st.integers(0, RANGE_UJ - 1),
    steps=st.lists(st.integers(0, RANGE_UJ - 1), min_size=1, max_size=40),
)
def test_differences_of_a_wrapping_counter_are_the_energy_that_was_used(start, steps):
    counter = Unwrapped(RANGE_UJ)
    seen = [counter.joules(total % RANGE_UJ) for total in accumulate(steps, initial=start)]
    assert all(after >= before for before, after in pairwise(seen))
    assert [after - before for before, after in pairwise(seen)] == pytest.approx(
        [step * 1e-6 for step in steps], abs=1e-3
    )
    assert seen[-1] - seen[0] == pytest.approx(sum(steps) * 1e-6, abs=1e-3)


def test_a_wrap_of_unknown_range_makes_the_energy_unknown_for_good():
    counter = Unwrapped(math.nan)
    assert counter.joules(5e6) == 5
    assert math.isnan(counter.joules(1e6))
    assert math.isnan(counter.joules(9e6))


def test_zones_are_named_after_their_parents_and_read_in_joules(tmp_path):
    root = fake_system.machine(tmp_path)
    source = RaplSource(root / "sys")
    channels = source.open()
    assert [(c.device, c.name, c.unit, c.cumulative) for c in channels] == [
        ("package-0", "energy", "J", True),
        ("package-0/dram", "energy", "J", True),
    ]
    assert source.read() == [5, 0.25]
    fake_system.write(root, {"sys/class/powercap/intel-rapl:0/energy_uj": "1000000"})
    assert source.read()[0] == pytest.approx(RANGE_UJ * 1e-6 + 1)
    source.close()


def test_a_zone_that_stops_answering_is_unknown(tmp_path):
    root = fake_system.machine(tmp_path)
    source = RaplSource(root / "sys")
    source.open()
    fake_system.write(root, {"sys/class/powercap/intel-rapl:0/energy_uj": ""})
    package, dram = source.read()
    assert math.isnan(package)
    assert dram == 0.25
    source.close()


def refuse_energy_files(monkeypatch, name):
    """Root may read everything, so a refusal must be staged."""
    opened = KernelFile.open

    def refuse(self):
        if name in str(self.path):
            raise PermissionError(13, "Permission denied")
        return opened(self)

    monkeypatch.setattr(KernelFile, "open", refuse)


def test_counters_for_root_only_say_what_to_type(tmp_path, monkeypatch):
    root = fake_system.machine(tmp_path)
    refuse_energy_files(monkeypatch, "energy_uj")
    with pytest.raises(SensorUnavailable, match=r"package-0: only root.*type: sudo chmod a\+r .*energy_uj"):
        RaplSource(root / "sys").open()


def test_a_single_refused_zone_is_told_and_the_others_are_read(tmp_path, monkeypatch):
    root = fake_system.machine(tmp_path)
    refuse_energy_files(monkeypatch, "intel-rapl:0:0")
    source = RaplSource(root / "sys")
    assert [c.device for c in source.open()] == ["package-0"]
    assert "package-0/dram: only root" in source.lacking()[0]
    source.close()


def test_no_zones_is_unavailable(tmp_path):
    with pytest.raises(SensorUnavailable, match="modprobe"):
        RaplSource(tmp_path).open()
