"""Strips: units a reader knows, counters as rates, few points with their extremes."""

from types import SimpleNamespace

import numpy as np
import pytest

from tensordyno.figures.strips import BINS, FEWEST_BINS, MOST_POINTS, Strip, limits, readings, strips
from tensordyno.records.reading import Channel
from tensordyno.store.reader import Series


def series(values, source="cpu", name="utilisation", unit="%", device="", cumulative=False):
    channel = Channel(source=source, name=name, unit=unit, device=device, cumulative=cumulative)
    return Series(channel, np.arange(len(values), dtype=float), np.array(values, dtype=float))


def of(*found):
    return strips(SimpleNamespace(series=found))[0]


def gpu(values, name, unit="W", number=0, cumulative=False):
    return series(values, "nvml", name, unit, f"gpu{number}", cumulative)


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


def test_of_several_channels_of_a_device_the_best_is_drawn():
    counter = gpu([0, 15], "energy", "J", cumulative=True)
    (shown,) = of(gpu([10, 20], "power"), counter)
    assert shown.title == "GPU power" and list(shown.values) == [10, 20]
    (shown,) = of(gpu([10, 20], "power"), counter, gpu([11, 21], "power_instant"))
    assert list(shown.values) == [11, 21]
    (shown,) = of(gpu([np.nan, np.nan], "power"), counter)
    assert list(shown.values) == [15]


def test_what_a_gpu_tells_is_shown_in_readable_units_in_order():
    shown = of(
        gpu([1e9, 2e9], "pcie_rx", "B/s"),
        gpu([1.98e9, 1.98e9], "sm_clock", "Hz"),
        gpu([40, 41], "temperature", "degC"),
        gpu([2**30, 2**31], "memory_used", "B"),
        gpu([5, 6], "utilisation_memory", "%"),
        gpu([98, 99], "utilisation_gpu", "%"),
        gpu([0, 1], "throttle_reasons", "1"),
    )
    assert [(s.title, s.unit, s.values[-1]) for s in shown] == [
        ("GPU utilisation", "%", 99),
        ("GPU memory controller busy", "%", 6),
        ("GPU memory used", "GiB", 2),
        ("GPU temperature", "°C", 41),
        ("GPU SM clock", "GHz", 1.98),
        ("PCIe, received by the GPU", "GB/s", 2),
    ]


def test_devices_are_in_the_order_of_their_numbers_and_those_left_out_are_counted():
    many = [gpu([1, 2], "power", number=n) for n in (10, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8)]
    shown, note = strips(SimpleNamespace(series=many))
    assert [s.device for s in shown] == [f"gpu{n}" for n in range(8)]
    assert note == "Showing 8 of 11 devices."
    assert strips(SimpleNamespace(series=many[:2]))[1] == ""


def test_each_limit_is_given_once():
    allowed = [gpu([700, 700], "power_limit"), gpu([np.nan, 700], "power_limit", number=1)]
    allowed.append(gpu([350, 700], "power_limit", number=2))
    assert limits(SimpleNamespace(series=allowed)) == [
        {"strip": "GPU power", "limit": 350.0},
        {"strip": "GPU power", "limit": 700.0},
    ]
    assert limits(SimpleNamespace(series=[gpu([1, 2], "power")])) == []


def test_what_could_not_be_read_is_left_out():
    assert of(series([np.nan, np.nan])) == []
    (shown,) = of(series([np.nan, 1.0, 3.0]))
    assert shown.mean == 2.0
    assert readings([shown], 0.0)[0]["mean"] == [1.0, 3.0]


@pytest.mark.parametrize("count", [2, BINS - 1, BINS, BINS + 1, 10 * BINS + 7])
def test_thinning_keeps_extremes_mean_and_order(count):
    values = np.random.default_rng(1).normal(50, 10, count)
    (row,) = readings([Strip("CPU", "%", "", np.arange(count) + 100.0, values)], 100.0)
    assert 1 <= len(row["time"]) <= BINS
    assert {len(row[key]) for key in ("time", "mean", "low", "high")} == {len(row["time"])}
    assert min(row["low"]) == pytest.approx(values.min(), rel=1e-3)
    assert max(row["high"]) == pytest.approx(values.max(), rel=1e-3)
    assert all(
        low <= mean <= high for low, mean, high in zip(row["low"], row["mean"], row["high"], strict=True)
    )
    assert row["time"] == sorted(row["time"]) and row["time"][0] >= 0


def test_many_lines_share_the_points_of_a_page_and_show_their_means():
    values = np.arange(6000.0)
    found = [Strip(f"strip {i}", "W", f"gpu{g}", values, values) for i in range(10) for g in range(8)]
    rows = readings(found, 0.0)
    assert len(rows) == 80 and sum(len(row["time"]) for row in rows) <= MOST_POINTS
    assert all(len(row["time"]) >= FEWEST_BINS and "low" not in row for row in rows)
