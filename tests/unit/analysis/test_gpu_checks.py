"""Warnings about GPUs: when they are due, what they say, and when they stay silent."""

import numpy as np
import pytest
from msgspec.structs import replace

from tensordyno.analysis.checks import warnings
from tensordyno.analysis.gpu_checks import power_capped
from tensordyno.analysis.scores import scores
from tensordyno.records.device import IdleWindow
from tensordyno.records.reading import Channel
from tensordyno.report.document import GRAVE
from tensordyno.store.reader import Series
from tensordyno.vocabulary import Verdict

from .builders import burst, changed, outcome, run, trial

TIMES = np.arange(0, 60, 0.1)
UNITS = {"power_instant": "W", "power_limit": "W", "energy": "J"}
QUIET = {"energy": 600 * TIMES, "power_instant": 600, "sm_clock": 1.9e9, "temperature": 60}
QUIET |= {"throttle_reasons": 0, "other_processes": 0, "power_limit": 700}


def series(**channels):
    return tuple(
        Series(
            Channel(source="nvml", name=n, unit=UNITS.get(n, "1"), device="gpu0", cumulative=n == "energy"),
            TIMES,
            np.broadcast_to(np.asarray(values, dtype=float), TIMES.shape),
        )
        for n, values in (QUIET | channels).items()
    )


def ran(name="t", start_s=1.0, **fields):
    measured = [burst(start_s=start_s + i, probed=True) for i in range(6)]
    after = burst(start_s=start_s + 8, duration_s=6.0)
    return outcome(trial(name, device="cuda:0", **fields), measured=measured, energy_window=after)


def found(root, *outcomes, idle=(), **channels):
    stored = run(root, outcomes or [ran()], idle=tuple(idle))
    stored.series, stored.devices = series(**channels), ()
    warned = warnings(stored, scores(stored))
    return {w.slug: w for w in warned if w.slug != "too-few-samples"}


def test_a_quiet_gpu_gives_no_warning(tmp_path):
    assert found(tmp_path) == {}


def test_a_slowdown_is_grave_and_is_not_called_unsettled(tmp_path):
    hot = np.where(TIMES < 20, 0x20, 0)
    warned = found(tmp_path, ran("hot"), ran("cool", start_s=30), throttle_reasons=hot)
    assert list(warned) == ["gpu-throttled"]
    assert warned["gpu-throttled"].trials == ("hot",)
    assert warned["gpu-throttled"].sentence.endswith("during 1 trial; their numbers are not ranked.")


def test_a_neighbour_is_grave_and_a_slowdown_does_not_hide_it(tmp_path):
    warned = found(tmp_path, throttle_reasons=0x40, other_processes=2)
    assert list(warned) == ["gpu-throttled", "gpu-shared"]
    assert set(warned) <= GRAVE


def test_a_trial_that_did_not_settle_is_still_called_unsettled(tmp_path):
    shaky = changed(ran(), verdict=Verdict.UNSTABLE, slug="stopping-rule-not-met")
    assert set(found(tmp_path, shaky, throttle_reasons=0x8)) == {"unstable", "gpu-throttled"}


def test_a_power_cap_is_told_with_the_clock(tmp_path):
    clock = np.where(TIMES < 0.5, 1.98e9, 1.485e9)
    warned = found(tmp_path, throttle_reasons=4, sm_clock=clock)
    assert list(warned) == ["power-capped"]
    sentence = warned["power-capped"].sentence
    assert "power limit of 700 W" in sentence
    assert "in up to 100 % of the time (down to 1485 of 1980 MHz)" in sentence


def test_a_power_cap_on_a_gpu_that_tells_no_clock(tmp_path):
    warned = found(tmp_path, throttle_reasons=4, sm_clock=np.nan, power_limit=np.nan)
    assert (
        "The power limit set the GPU's clock in up to 100 % of the time:" in warned["power-capped"].sentence
    )


def test_a_clock_that_falls_while_the_gpu_grows_warm(tmp_path):
    warned = found(tmp_path, sm_clock=1.9e9 - 2e7 * TIMES, temperature=50 + 2 * TIMES)
    assert list(warned) == ["clock-drift"]
    assert "fell by 4 %" in warned["clock-drift"].sentence
    assert "8 °C warmer" in warned["clock-drift"].sentence
    steady = found(tmp_path, sm_clock=1.9e9 - 1e7 * TIMES)
    assert steady == {}
    cold = found(tmp_path, sm_clock=1.9e9 - 2e7 * TIMES)
    assert "warmer" not in cold["clock-drift"].sentence


@pytest.mark.parametrize(("watts", "says"), [(636, "6 % above"), (564, "6 % below"), (624, ""), (576, "")])
def test_energy_and_power_that_disagree(tmp_path, watts, says):
    warned = found(tmp_path, power_instant=watts)
    assert list(warned) == (["energy-disagreement"] if says else [])
    if says:
        assert says in warned["energy-disagreement"].sentence


def test_idle_power_that_changed(tmp_path):
    windows = [
        IdleWindow(when="before", start_s=0, stop_s=5),
        IdleWindow(when="after", start_s=40, stop_s=45),
    ]
    watts = np.where(TIMES < 6, 80.0, np.where(TIMES > 35, 120.0, 600.0))
    joules = np.cumsum(watts) * 0.1
    warned = found(tmp_path, idle=windows, energy=joules, power_instant=watts)
    assert warned["idle-moved"].trials == ()
    assert "gpu0 from 80 to 120 W" in warned["idle-moved"].sentence
    assert "idle-moved" not in found(tmp_path, idle=windows)


def test_conditions_of_a_cpu_run_are_nobodys_business(tmp_path):
    one = outcome(trial("c", device="cpu"), measured=[burst(start_s=i) for i in range(12)])
    assert "power-capped" not in found(tmp_path, one, throttle_reasons=0x2C)


def test_a_capped_gpu_that_is_slower_without_rest_is_told(tmp_path):
    slow = changed(ran(), energy_window=burst(start_s=9.0, duration_s=6.0, images=900))
    sentence = found(tmp_path, slow, throttle_reasons=4)["power-capped"].sentence
    rate = sum(b.images / b.duration_s for b in slow.bursts) / len(slow.bursts)
    assert f"throughput was up to {100 * (1 - 150 / rate):.1f} % lower" in sentence
    same = changed(ran(), energy_window=burst(start_s=9.0, duration_s=6.0, images=round(6 * rate)))
    assert "Without rest" not in found(tmp_path / "same", same, throttle_reasons=4)["power-capped"].sentence


def test_the_power_limit_is_that_of_one_of_several_gpus(tmp_path):
    stored = run(tmp_path, [ran("one"), ran("two", start_s=30)])
    stored.series, stored.devices = series(throttle_reasons=4), ()
    one, two = scores(stored)
    rows = [one, replace(two, devices=2, power_limit_w=1400.0)]
    (warning,) = power_capped(stored, rows)
    assert "limit of 700 W" in warning.sentence
