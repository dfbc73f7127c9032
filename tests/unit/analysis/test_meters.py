"""Meters on a real recording of an H200, where the pitfalls of its sensors can be seen."""

from pathlib import Path

import numpy as np
import pytest

from tensordyno.analysis.meters import counters, integrals, kind
from tensordyno.store.reader import Series, read_series

SERIES = list(read_series(Path(__file__).parents[2] / "gold" / "nvml_h200.jsonl"))
LOAD = (41.17, 42.65)  # a dense product at the power limit, 700 W
IDLE = (43.7, 44.8)


def meters(*names):
    chosen = [s for s in SERIES if s.channel.name in names]
    return (counters(chosen) + integrals(chosen))[0]


def test_counter_and_power_of_a_capped_gpu_agree_within_a_sensors_error():
    counter, instant = (meters(name).steady_power(*LOAD, 0.3) for name in ("energy", "power_instant"))
    assert counter.power_w == pytest.approx(693, abs=10)
    assert instant.power_w == pytest.approx(counter.power_w, rel=0.05)
    assert (counter.first_s, counter.last_s) == (instant.first_s, instant.last_s)


def test_averaged_power_still_speaks_of_the_time_before():
    late = meters("power").steady_power(*LOAD, 0.3)
    assert late.power_w < 600
    assert meters("power").settles_s > meters("power_instant").settles_s


def test_idle_power_by_counter_and_by_power():
    for name in ("energy", "power_instant"):
        assert meters(name).steady_power(*IDLE, 0.0).power_w == pytest.approx(121, abs=0.5)


def test_the_least_averaged_power_is_preferred():
    assert meters("power", "power_instant", "power_average").settles_s == meters("power_instant").settles_s
    assert [m.method for m in counters(SERIES)] == ["counter"]


def test_readings_that_failed_are_no_readings():
    energy = next(s for s in SERIES if s.channel.name == "energy")
    holes = np.where(np.arange(len(energy.values)) % 4 == 1, np.nan, energy.values)
    (meter,) = counters([Series(energy.channel, energy.times_s, holes)])
    assert meter.steady_power(40.1, 44.8, 0.0).power_w == pytest.approx(
        counters([energy])[0].steady_power(40.1, 44.8, 0.0).power_w, rel=0.02
    )


def test_nothing_before_the_first_reading_nor_after_the_last():
    for span in ((0, 10), (100, 110), (44.75, 50)):
        assert "moved" in meters("energy").steady_power(*span).reason


def test_kinds_of_devices():
    assert [kind(device) for device in ("gpu0", "gpu11", "package-0", "gpu", "psys")] == [
        "gpu", "gpu", "cpu", "cpu", "cpu",
    ]  # fmt: skip
