"""Clocks, temperatures, slowdowns and neighbours of a trial, and what they do to its verdict."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.gpu_conditions import REASONS, GpuReadings
from tensordyno.analysis.scores import scores
from tensordyno.records.reading import Channel
from tensordyno.store.reader import Series, read_devices, read_series
from tensordyno.vocabulary import Verdict

from .builders import burst, changed, outcome, run, trial

GOLD = Path(__file__).parents[2] / "gold" / "nvml_h200.jsonl"
TIMES = np.arange(0, 20, 0.1)
GPU = trial(device="cuda:0")
UNITS = {"sm_clock": "Hz", "temperature": "degC"}


def series(device="gpu0", times=TIMES, source="nvml", **channels):
    """Constant channels unless an array is given."""
    return [
        Series(
            Channel(source=source, name=name, unit=UNITS.get(name, "1"), device=device),
            times,
            np.broadcast_to(np.asarray(values, dtype=float), times.shape),
        )
        for name, values in channels.items()
    ]


def ran(of=GPU, count=6, every_s=1.0, **fields):
    return outcome(of, measured=[burst(start_s=1 + i * every_s) for i in range(count)], **fields)


def stored(root, found, *outcomes):
    one = run(root, outcomes or [ran()])
    one.series, one.devices = tuple(found), ()
    return one


def seen(root, found, one=None):
    one = one or ran()
    return GpuReadings(stored(root, found, one)).conditions(one)


def test_a_capped_h200_as_it_was_recorded(tmp_path):
    one = outcome(GPU, measured=[burst(start_s=41.4 + i * 0.3, duration_s=0.28) for i in range(4)])
    here = run(tmp_path, [one])
    here.series, here.devices = tuple(read_series(GOLD)), read_devices(GOLD)
    found = GpuReadings(here).conditions(one)
    assert found.text == "sw power cap 100 %"
    assert found.sm_clock_hz == pytest.approx(1.47e9, rel=0.02)
    assert found.highest_clock_hz == 1.98e9
    assert (found.temperature_max_c, found.readings) == (52.0, 12)
    assert found.disturbances() == {}
    (row,) = scores(here)
    assert (row.verdict, row.throttled) == (Verdict.VALID, "sw power cap 100 %")
    assert (row.sm_clock_hz, row.temperature_max_c) == (found.sm_clock_hz, 52.0)


def test_only_readings_during_the_kept_bursts_count(tmp_path):
    clock = np.where((TIMES % 1) < 0.55, 1.5e9, 0.3e9)  # bursts run in the first half of each second
    degrees = np.where((TIMES > 3.2) & (TIMES < 3.6), 90, 60)
    found = series(sm_clock=clock, temperature=degrees, throttle_reasons=np.where(clock > 1e9, 0, 1))
    one = ran()
    assert seen(tmp_path, found, one).sm_clock_hz == pytest.approx(1.5e9)
    assert seen(tmp_path, found, one).temperature_max_c == 90
    assert seen(tmp_path, found, one).text == ""  # idle between bursts slows nothing down
    contended = [changed(b, contended=2.9 < b.start_s < 3.1) for b in one.bursts]
    assert seen(tmp_path, found, changed(one, bursts=tuple(contended))).temperature_max_c == 60


def test_short_bursts_are_judged_from_the_first_to_the_last(tmp_path):
    short = outcome(GPU, measured=[burst(start_s=1 + i, duration_s=0.02) for i in range(3)])
    assert seen(tmp_path, series(sm_clock=1e9), short).readings == 21
    alone = outcome(GPU, measured=[burst(start_s=1.01, duration_s=0.3)])
    assert seen(tmp_path, series(sm_clock=1e9), alone) is None


def test_shares_of_each_reason_the_most_frequent_first(tmp_path):
    bits = np.zeros(len(TIMES))
    bits[::2] = 0x4
    bits[::5] += 0x40
    long = outcome(GPU, measured=[burst(start_s=1, duration_s=10)])
    found = seen(tmp_path, series(throttle_reasons=bits), long)
    assert list(found.reasons) == ["sw power cap", "hw thermal slowdown"]
    assert found.reasons["sw power cap"] == pytest.approx(0.5, abs=0.03)
    assert found.slowed == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("bit", REASONS)
def test_thermal_and_hardware_slowdowns_unseat_a_verdict_and_nothing_else_does(tmp_path, bit):
    (row,) = scores(stored(tmp_path, series(throttle_reasons=bit)))
    if bit in (0x8, 0x20, 0x40, 0x80):
        assert (row.verdict, row.slug) == (Verdict.UNSTABLE, "gpu-throttled")
        assert row.reason == f"The GPU slowed itself down ({REASONS[bit]}) in 100 % of the readings."
    else:
        assert (row.verdict, row.slug) == (Verdict.VALID, "")
    assert row.throttled == f"{REASONS[bit]} 100 %"


def test_a_neighbour_on_the_gpu(tmp_path):
    (row,) = scores(stored(tmp_path, series(other_processes=np.where(TIMES < 3, 1, 0))))
    assert (row.verdict, row.slug) == (Verdict.UNSTABLE, "gpu-shared")
    assert row.reason.startswith("Another process was on the GPU in 3")
    rare = series(other_processes=np.where(TIMES < 1.25, 1, 0))
    assert scores(stored(tmp_path / "b", rare))[0].verdict is Verdict.VALID


def test_unknown_neighbours_are_neither_there_nor_absent(tmp_path):
    found = seen(tmp_path, series(sm_clock=1e9, other_processes=np.nan))
    assert found.shared is None
    assert found.disturbances() == {}


def test_a_verdict_that_was_none_keeps_its_own_reason(tmp_path):
    lost = ran(verdict=Verdict.INVALID, reason="wrong answers", slug="verification-failed")
    (row,) = scores(stored(tmp_path, series(throttle_reasons=0x8), lost))
    assert (row.verdict, row.slug) == (Verdict.INVALID, "verification-failed")
    assert row.throttled == "hw slowdown 100 %"


def test_of_several_gpus_the_worst(tmp_path):
    cool = series("gpu1", sm_clock=1.9e9, temperature=50, throttle_reasons=4)
    warm = series("gpu2", sm_clock=1.5e9, temperature=80, throttle_reasons=0x24, other_processes=0)
    found = seen(tmp_path, cool + warm, ran(trial(device="cuda:1", devices=2)))
    assert (found.sm_clock_hz, found.temperature_max_c, found.highest_clock_hz) == (1.5e9, 80, 1.9e9)
    assert found.text == "sw power cap 100 %, sw thermal slowdown 100 %"
    assert (found.slowed, found.shared) == (1.0, 0.0)
    assert seen(tmp_path, cool, ran(trial(device="cuda:1", devices=2))) is None


def test_clock_and_temperature_from_the_first_to_the_last_third(tmp_path):
    found = seen(tmp_path, series(sm_clock=2e9 - 1e8 * TIMES, temperature=40 + 2 * TIMES))
    # six bursts, 1 to 6.5 s: the thirds' middles lie 4 s apart
    assert found.temperature_rise_c == pytest.approx(8, abs=0.3)
    assert found.clock_drop == pytest.approx(4e8 / 1.83e9, abs=0.02)


def test_a_trial_off_the_gpu_or_not_measured_has_no_conditions(tmp_path):
    found = series(sm_clock=1e9)
    assert seen(tmp_path, found, ran(trial(device="cpu"))) is None
    assert seen(tmp_path, found, outcome(GPU, measured=())) is None
    assert seen(tmp_path, [], ran()) is None
    assert GpuReadings(stored(tmp_path, found)).fields(ran(trial(device="cpu"))) == {}


def test_a_replay_stands_back_behind_the_driver(tmp_path):
    found = series(sm_clock=1e9, source="replay") + series(sm_clock=1.2e9)
    assert seen(tmp_path, found).sm_clock_hz == pytest.approx(1.2e9)


def test_conditions_of_a_thousand_bursts_at_a_time(tmp_path):
    many = outcome(GPU, measured=[burst(start_s=i * 0.019, duration_s=0.018) for i in range(1000)])
    assert seen(tmp_path, series(sm_clock=1e9), many).readings > 100


@given(st.lists(st.integers(0, 0x7FF), min_size=5, max_size=50))
def test_shares_add_up_to_the_bits_that_were_set(bits):
    times = np.linspace(1, 1.5, len(bits))
    one = outcome(GPU, measured=[burst(start_s=1)])
    found = seen_alone(series(times=times, throttle_reasons=np.array(bits)), one)
    assert sum(found.reasons.values()) * len(bits) == pytest.approx(sum((b & ~1).bit_count() for b in bits))
    assert 0 <= found.slowed <= min(1, sum(found.reasons.get(n, 0) for n in list(REASONS.values())) + 1e-9)


def seen_alone(found, one):
    class Here:
        series, devices = tuple(found), ()

    return GpuReadings(Here()).conditions(one)
