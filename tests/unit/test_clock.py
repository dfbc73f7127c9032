import pytest

from tensordyno.clock import FakeClock, RealClock


def test_the_fake_clock_moves_only_when_told():
    clock = FakeClock(5.0)
    assert clock.now() == clock.now() == 5.0
    clock.sleep(0.25)
    assert clock.now() == 5.25


def test_time_never_runs_back():
    with pytest.raises(ValueError, match="go back"):
        FakeClock().sleep(-1)


def test_the_real_clock_is_monotonic_and_sleeps():
    clock = RealClock()
    before = clock.now()
    clock.sleep(0.002)
    assert clock.now() - before >= 0.002
