"""Windows in which a run leaves its devices alone."""

import pytest
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.clock import FakeClock
from tensordyno.run.idle import IdleWatch

ON_GPU = replace(trial(), device="cuda:0")


def test_idle_is_watched_where_an_energy_window_is_measured():
    clock = FakeClock()
    watch = IdleWatch([trial(), ON_GPU], clock)
    assert watch.wanted
    before = watch.before()
    clock.sleep(100)
    after = watch.after()
    assert (before.when, before.stop_s - before.start_s, before.cool_down_s) == ("before", 3.0, 0.0)
    assert after.when == "after" and after.stop_s - after.start_s == pytest.approx(3.0)
    assert after.start_s == pytest.approx(before.stop_s + 100 + 5) and after.cool_down_s == 5.0


@pytest.mark.parametrize(
    "asked",
    [trial(), replace(ON_GPU, measurement=replace(ON_GPU.measurement, energy_seconds=0))],
    ids=["on a CPU", "energy not wanted"],
)
def test_nobody_waits_for_nothing(asked):
    assert not IdleWatch([asked], FakeClock()).wanted
    assert not IdleWatch([], FakeClock()).wanted


def test_a_fake_clock_has_no_idle_power():
    fake = replace(ON_GPU, measurement=replace(ON_GPU.measurement, clock="fake"))
    assert not IdleWatch([fake], FakeClock()).wanted
