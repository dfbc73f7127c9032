import os
import subprocess
import sys
import time

import pytest

from tensordyno.clock import FakeClock, RealClock, put_ahead


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


def test_a_clock_put_ahead_is_ahead_in_later_processes_too(monkeypatch):
    monkeypatch.setattr(RealClock, "now", staticmethod(RealClock.now))
    monkeypatch.setenv("TENSORDYNO_CLOCK_AHEAD_S", "0")
    put_ahead(1e6)
    assert RealClock().now() == pytest.approx(time.perf_counter() + 1e6, abs=1)
    asked = "from tensordyno.clock import RealClock; print(RealClock.now())"
    told = subprocess.run([sys.executable, "-c", asked], env=os.environ, capture_output=True, check=True)
    assert float(told.stdout) == pytest.approx(RealClock.now(), abs=5)
    put_ahead(0.0)
    assert RealClock.now() == pytest.approx(time.perf_counter(), abs=1)
