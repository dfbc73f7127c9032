"""Strips: units a reader knows, counters as rates, few points with their extremes."""

from types import SimpleNamespace

import numpy as np
import pytest

from tensordyno.figures.strips import BINS, Strip, readings, strips
from tensordyno.records.reading import Channel
from tensordyno.store.reader import Series


def series(values, source="cpu", name="utilisation", unit="%", device="", cumulative=False):
    channel = Channel(source=source, name=name, unit=unit, device=device, cumulative=cumulative)
    return Series(channel, np.arange(len(values), dtype=float), np.array(values, dtype=float))


def of(*found):
    return strips(SimpleNamespace(series=found))


def test_the_whole_cpu_stands_for_its_cores():
    shown = of(series([1, 2, 3]), series([1, 2, 3], device="cpu0"), series([4, 5, 6], name="steal"))
    assert [(s.title, s.unit, s.device) for s in shown] == [("CPU utilisation", "%", "")]


def test_memory_is_told_in_gib():
    (shown,) = of(series([2**30, 3 * 2**30], source="memory", name="used", unit="B"))
    assert shown.mean == 2.0 and shown.unit == "GiB"


def test_an_energy_counter_becomes_power():
    (shown,) = of(
        series([0, 50, 150], source="rapl", name="energy", unit="J", device="package0", cumulative=True)
    )
    assert shown.title == "Power" and list(shown.values) == [50.0, 100.0]


def test_a_device_with_both_power_and_energy_is_drawn_once():
    gpu = {"source": "nvml", "device": "gpu0"}
    shown = of(
        series([10, 20], name="power", unit="W", **gpu),
        series([0, 15], name="energy", unit="J", cumulative=True, **gpu),
    )
    assert len(shown) == 1 and list(shown[0].values) == [10, 20]


def test_what_could_not_be_read_is_left_out():
    assert of(series([np.nan, np.nan])) == []
    (shown,) = of(series([np.nan, 1.0, 3.0]))
    assert shown.mean == 2.0
    assert [r["mean"] for r in readings(shown, 0.0)] == [1.0, 3.0]


@pytest.mark.parametrize("count", [2, BINS - 1, BINS, BINS + 1, 10 * BINS + 7])
def test_thinning_keeps_extremes_mean_and_order(count):
    values = np.random.default_rng(1).normal(50, 10, count)
    rows = readings(Strip("CPU", "%", "", np.arange(count) + 100.0, values), 100.0)
    assert 1 <= len(rows) <= BINS
    assert min(r["low"] for r in rows) == pytest.approx(values.min(), rel=1e-3)
    assert max(r["high"] for r in rows) == pytest.approx(values.max(), rel=1e-3)
    assert all(r["low"] <= r["mean"] <= r["high"] for r in rows)
    times = [r["time"] for r in rows]
    assert times == sorted(times) and times[0] >= 0
