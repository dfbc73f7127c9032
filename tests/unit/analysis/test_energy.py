"""Energy from counters and from power, and every way of not knowing it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.energy import Meters
from tensordyno.records.reading import Channel, Unavailable
from tensordyno.store.reader import Series

from .builders import burst, trial

TIMES = np.arange(0, 60, 0.1)
CPU = trial(device="cpu")


def power(watts, device="cpu0", times=TIMES, name="power", source="ipmi"):
    values = np.broadcast_to(np.asarray(watts, dtype=float), times.shape)
    return Series(Channel(source=source, name=name, unit="W", device=device), times, values)


def counter(watts, device="package-0", times=TIMES, start_j=1e6, source="rapl"):
    channel = Channel(source=source, name="energy", unit="J", device=device, cumulative=True)
    return Series(channel, times, start_j + np.asarray(watts, dtype=float) * times)


def half_second_bursts(count=20, start_s=1.0, every_s=1.0):
    return [burst(start_s=start_s + i * every_s, duration_s=0.5, images=100) for i in range(count)]


def test_counter_difference_over_the_bursts_alone():
    found = Meters([counter(80)]).energy(CPU, half_second_bursts())
    assert found.method == "counter"
    assert found.power_w == pytest.approx(80)
    assert found.joules_per_image == pytest.approx(80 * 0.5 / 100)
    assert found.window_s == pytest.approx(10)
    assert found.images == 2000


def test_integral_of_power_where_there_is_no_counter():
    ramp = 50 + 2 * TIMES
    found = Meters([power(ramp)]).energy(CPU, half_second_bursts())
    assert found.method == "integral"
    assert found.power_w == pytest.approx(50 + 2 * (1.25 + 9.5), rel=1e-3)


def test_a_counter_goes_before_power():
    found = Meters([power(500), counter(80)]).energy(CPU, half_second_bursts())
    assert (found.method, found.power_w) == ("counter", pytest.approx(80))


def test_parts_of_a_package_are_not_added_to_it_but_memory_and_sockets_are():
    zones = {
        "package-0": 50,
        "package-0/core": 30,
        "package-0/uncore": 5,
        "package-0/dram": 7,
        "package-1": 40,
    }
    zones["psys"] = 200
    found = Meters([counter(w, device) for device, w in zones.items()]).energy(CPU, half_second_bursts())
    assert found.power_w == pytest.approx(97)


def test_the_platform_counts_where_nothing_else_does():
    found = Meters([counter(200, "psys"), counter(30, "package-0/core")]).energy(CPU, half_second_bursts())
    assert found.power_w == pytest.approx(200)


def test_one_gpu_reports_power_in_three_ways_and_counts_once():
    channels = [power(w, "gpu0", name=n, source="nvml") for n, w in (("power", 290), ("power_instant", 300))]
    channels.append(power(280, "gpu0", name="power_average", source="nvml"))
    found = Meters(channels).energy(trial(device="cuda:0"), half_second_bursts())
    assert found.power_w == pytest.approx(300)


def test_only_the_devices_of_the_trial_count():
    meters = Meters(
        [counter(w, f"gpu{i}", source="nvml") for i, w in enumerate((100, 200, 400))] + [counter(50)]
    )
    ran = half_second_bursts()
    assert meters.energy(trial(device="cuda:1"), ran).power_w == pytest.approx(200)
    assert meters.energy(trial(device="cuda:1", devices=2), ran).power_w == pytest.approx(600)
    assert meters.energy(CPU, ran).power_w == pytest.approx(50)
    assert (
        meters.energy(trial(device="cuda:2", devices=2), ran).method
        == "unavailable: no energy sensor of gpu3"
    )


def is_unknown(found, reason):
    assert found.joules_per_image is None
    assert found.power_w is None
    assert found.method.startswith("unavailable: ")
    assert reason in found.method


def test_no_sensor_gives_the_sensors_own_reason():
    missing = [Unavailable(source="rapl", reason="no /sys/class/powercap")]
    is_unknown(Meters([], missing).energy(CPU, half_second_bursts()), "no /sys/class/powercap")
    is_unknown(Meters([], missing).energy(trial(device="cuda:0"), half_second_bursts()), "of cuda:0")
    is_unknown(Meters([]).energy(CPU, half_second_bursts()), "no energy or power sensor")


def test_a_dead_channel_is_no_sensor():
    is_unknown(Meters([power(np.nan)]).energy(CPU, half_second_bursts()), "no energy or power sensor")


def test_too_short_a_window():
    is_unknown(Meters([counter(80)]).energy(CPU, half_second_bursts(9)), "4.5 s resolved by the sensor")
    is_unknown(Meters([counter(80)]).energy(CPU, []), "nothing was measured")


def test_a_counter_that_hardly_moves():
    steps = counter(0)
    coarse = Series(steps.channel, TIMES, np.floor(TIMES / 8) * 100)
    is_unknown(Meters([coarse]).energy(CPU, half_second_bursts()), "moved")


def test_readings_too_sparse_for_a_burst():
    sparse = np.arange(0, 60, 0.4)
    is_unknown(Meters([counter(80, times=sparse)]).energy(CPU, half_second_bursts()), "0.0 s resolved")


def test_bursts_outside_the_readings_are_left_out_with_their_images():
    early = TIMES[TIMES < 15]
    found = Meters([counter(80, times=early)]).energy(CPU, half_second_bursts(30))
    assert found.images == 1400
    assert found.joules_per_image == pytest.approx(0.4)


def test_a_reset_counter_spoils_only_its_burst():
    series = counter(80)
    reset = Series(series.channel, TIMES, np.where(TIMES > 5.2, series.values - 1e6, series.values))
    found = Meters([reset]).energy(CPU, half_second_bursts())
    assert found.power_w == pytest.approx(80)
    assert found.images == 1900


def test_single_failed_readings_are_bridged():
    series = counter(80)
    holes = series.values.copy()
    holes[::7] = np.nan
    found = Meters([Series(series.channel, TIMES, holes)]).energy(CPU, half_second_bursts())
    assert found.power_w == pytest.approx(80)


@given(st.floats(1, 1000), st.floats(0, 1), st.sampled_from([1, 10]))
def test_joules_times_images_is_watts_times_seconds(watts, offset_s, fewer):
    ran = half_second_bursts(start_s=1 + offset_s)
    found = Meters([counter(watts, times=np.arange(0, 60, 0.1 / fewer))]).energy(CPU, ran)
    assert found.joules_per_image * found.images == pytest.approx(found.power_w * found.window_s)
    assert found.power_w == pytest.approx(watts, rel=1e-4)
