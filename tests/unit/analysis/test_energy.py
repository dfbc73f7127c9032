"""Energy from counters and from power, and every way of not knowing it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.energy import Meters
from tensordyno.records.build import ProcessFacts
from tensordyno.records.burst import RankBurst
from tensordyno.records.device import IdleWindow
from tensordyno.records.reading import Channel, Unavailable
from tensordyno.store.reader import Series

from .builders import burst, changed, outcome, trial

TIMES = np.arange(0, 60, 0.1)
CPU = trial(device="cpu")


def power(watts, device="cpu0", times=TIMES, name="power", source="ipmi"):
    values = np.broadcast_to(np.asarray(watts, dtype=float), times.shape)
    return Series(Channel(source=source, name=name, unit="W", device=device), times, values)


def counter(watts, device="package-0", times=TIMES, start_j=1e6, source="rapl"):
    channel = Channel(source=source, name="energy", unit="J", device=device, cumulative=True)
    return Series(channel, times, start_j + np.asarray(watts, dtype=float) * times)


def measure(meters, of, measured, **fields):
    return meters.energy(outcome(of, measured=measured, **fields))


def half_second_bursts(count=20, start_s=1.0, every_s=1.0):
    return [burst(start_s=start_s + i * every_s, duration_s=0.5, images=100) for i in range(count)]


def test_counter_difference_over_the_bursts_alone():
    found = measure(Meters([counter(80)]), CPU, half_second_bursts())
    assert found.method == "counter"
    assert found.power_w == pytest.approx(80)
    assert found.joules_per_image == pytest.approx(80 * 0.5 / 100)
    assert found.window_s == pytest.approx(10)
    assert found.images == 2000


def test_integral_of_power_where_there_is_no_counter():
    ramp = 50 + 2 * TIMES
    found = measure(Meters([power(ramp)]), CPU, half_second_bursts())
    assert found.method == "integral"
    assert found.power_w == pytest.approx(50 + 2 * (1.25 + 9.5), rel=1e-3)


def test_a_counter_goes_before_power():
    found = measure(Meters([power(500), counter(80)]), CPU, half_second_bursts())
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
    found = measure(Meters([counter(w, device) for device, w in zones.items()]), CPU, half_second_bursts())
    assert found.power_w == pytest.approx(97)


def test_the_platform_counts_where_nothing_else_does():
    found = measure(Meters([counter(200, "psys"), counter(30, "package-0/core")]), CPU, half_second_bursts())
    assert found.power_w == pytest.approx(200)


def test_one_gpu_reports_power_in_three_ways_and_counts_once():
    channels = [power(w, "gpu0", name=n, source="nvml") for n, w in (("power", 290), ("power_instant", 300))]
    channels.append(power(280, "gpu0", name="power_average", source="nvml"))
    found = measure(Meters(channels), trial(device="cuda:0"), half_second_bursts())
    assert found.power_w == pytest.approx(300)


def test_only_the_devices_of_the_trial_count():
    meters = Meters(
        [counter(w, f"gpu{i}", source="nvml") for i, w in enumerate((100, 200, 400))] + [counter(50)]
    )
    ran = half_second_bursts()
    assert measure(meters, trial(device="cuda:1"), ran).power_w == pytest.approx(200)
    assert measure(meters, trial(device="cuda:1", devices=2), ran).power_w == pytest.approx(600)
    assert measure(meters, CPU, ran).power_w == pytest.approx(50)
    assert (
        measure(meters, trial(device="cuda:2", devices=2), ran).method
        == "unavailable: no energy sensor of gpu3"
    )


def is_unknown(found, reason):
    assert found.joules_per_image is None
    assert found.power_w is None
    assert found.method.startswith("unavailable: ")
    assert reason in found.method


def test_no_sensor_gives_the_sensors_own_reason():
    missing = [Unavailable(source="rapl", reason="no /sys/class/powercap")]
    is_unknown(measure(Meters([], missing), CPU, half_second_bursts()), "no /sys/class/powercap")
    is_unknown(measure(Meters([], missing), trial(device="cuda:0"), half_second_bursts()), "of cuda:0")
    is_unknown(measure(Meters([]), CPU, half_second_bursts()), "no energy or power sensor")


def test_a_dead_channel_is_no_sensor():
    is_unknown(measure(Meters([power(np.nan)]), CPU, half_second_bursts()), "no energy or power sensor")


def test_too_short_a_window():
    is_unknown(measure(Meters([counter(80)]), CPU, half_second_bursts(9)), "4.5 s resolved by the sensor")
    is_unknown(measure(Meters([counter(80)]), CPU, []), "nothing was measured")


def test_a_counter_that_hardly_moves():
    steps = counter(0)
    coarse = Series(steps.channel, TIMES, np.floor(TIMES / 8) * 100)
    is_unknown(measure(Meters([coarse]), CPU, half_second_bursts()), "moved")


def test_readings_too_sparse_for_a_burst():
    sparse = np.arange(0, 60, 0.4)
    is_unknown(measure(Meters([counter(80, times=sparse)]), CPU, half_second_bursts()), "0.0 s resolved")


def test_bursts_outside_the_readings_are_left_out_with_their_images():
    early = TIMES[TIMES < 15]
    found = measure(Meters([counter(80, times=early)]), CPU, half_second_bursts(30))
    assert found.images == 1400
    assert found.joules_per_image == pytest.approx(0.4)


def test_a_reset_counter_spoils_only_its_burst():
    series = counter(80)
    reset = Series(series.channel, TIMES, np.where(TIMES > 5.2, series.values - 1e6, series.values))
    found = measure(Meters([reset]), CPU, half_second_bursts())
    assert found.power_w == pytest.approx(80)
    assert found.images == 1900


def test_single_failed_readings_are_bridged():
    series = counter(80)
    holes = series.values.copy()
    holes[::7] = np.nan
    found = measure(Meters([Series(series.channel, TIMES, holes)]), CPU, half_second_bursts())
    assert found.power_w == pytest.approx(80)


@given(st.floats(1, 1000), st.floats(0, 1), st.sampled_from([1, 10]))
def test_joules_times_images_is_watts_times_seconds(watts, offset_s, fewer):
    ran = half_second_bursts(start_s=1 + offset_s)
    found = measure(Meters([counter(watts, times=np.arange(0, 60, 0.1 / fewer))]), CPU, ran)
    assert found.joules_per_image * found.images == pytest.approx(found.power_w * found.window_s)
    assert found.power_w == pytest.approx(watts, rel=1e-4)


GPU = trial(device="cuda:0")


def window(start_s=10.0, duration_s=6.0, images=1200, **fields):
    return changed(burst(start_s=start_s, duration_s=duration_s, images=images), **fields)


def gpu(watts, device="gpu0"):
    """Counter and power of a GPU whose power is `watts`, one value for each time."""
    watts = np.broadcast_to(np.asarray(watts, dtype=float), TIMES.shape)
    joules = np.concatenate(([0.0], np.cumsum(np.diff(TIMES) * (watts[1:] + watts[:-1]) / 2)))
    channel = Channel(source="nvml", name="energy", unit="J", device=device, cumulative=True)
    return [Series(channel, TIMES, joules), power(watts, device, name="power_instant", source="nvml")]


def limit(watts, device="gpu0"):
    return power(watts, device, name="power_limit", source="nvml")


def test_an_energy_window_goes_before_the_bursts_and_edges_do_not_count():
    watts = np.where((TIMES > 9.95) & (TIMES < 16.05), 600.0, 100.0)
    found = measure(Meters(gpu(watts)), GPU, half_second_bursts(start_s=30), energy_window=window())
    assert (found.method, found.window_s, found.images) == ("counter", 6.0, 1200)
    assert found.power_w == pytest.approx(600)
    assert found.joules_per_image == pytest.approx(600 * 6 / 1200)
    assert found.disagreement == pytest.approx(0, abs=1e-9)
    assert found.fields()["images_per_joule"] == pytest.approx(1200 / 3600)
    assert found.fields()["energy_window_s"] == 6.0


def test_a_counter_in_steps_that_tells_late_gives_the_power_of_the_load():
    """As an H200's: it moves every 100 ms and is up to one step behind."""
    told_s = np.floor(TIMES * 10 + 1e-6) / 10 - 0.1
    joules = 100 * told_s + 500 * np.clip(told_s - 10, 0, 6)
    late = Series(gpu(0)[0].channel, TIMES, joules)
    found = measure(Meters([late]), GPU, (), energy_window=window())
    assert found.power_w == pytest.approx(600)


def test_a_power_sensor_that_looks_back_one_second_needs_longer():
    looks_back = 100 + 500 * np.clip(TIMES - 10, 0, 1)
    averaged = power(looks_back, "gpu0", name="power", source="nvml")
    found = measure(Meters([averaged]), GPU, (), energy_window=window())
    assert (found.method, found.power_w) == ("integral", pytest.approx(600))
    assert found.disagreement is None


def test_sensors_that_disagree():
    counted, _ = gpu(600)
    high = power(630, "gpu0", name="power_instant", source="nvml")
    found = measure(Meters([counted, high]), GPU, (), energy_window=window())
    assert found.power_w == pytest.approx(600)
    assert found.disagreement == pytest.approx(0.05)


def test_a_window_too_short_is_left_to_the_bursts():
    found = measure(Meters(gpu(600)), GPU, half_second_bursts(), energy_window=window(duration_s=4.9))
    assert found.images == 2000


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (gpu(0), "moved 0 times"),
        ([counter(80, "gpu0", times=TIMES[TIMES < 12], source="nvml")], "cover 1.4 s"),
        ([counter(80, "gpu0", times=np.arange(0, 60, 1.5), source="nvml")], "moved 3 times"),
        ([counter(80, "gpu0", times=TIMES[(TIMES < 12) | (TIMES > 13.5)], source="nvml")], "apart"),
        ([counter(np.where(TIMES > 13, -50, 80), "gpu0", source="nvml")], "reset"),
    ],
)
def test_a_window_that_the_sensor_does_not_resolve(series, reason):
    is_unknown(measure(Meters(series), GPU, half_second_bursts(), energy_window=window()), reason)


def test_several_gpus_are_watched_while_all_of_them_run():
    watts = np.where((TIMES > 9.95) & (TIMES < 17), 600.0, 100.0)
    ranks = tuple(
        RankBurst(start_s=start_s, stop_s=start_s + 6, batches=1, images=1200) for start_s in (10, 10.5)
    )
    both = trial(device="cuda:1", devices=2)
    joint = window(images=2400, ranks=ranks)
    found = measure(Meters([*gpu(watts, "gpu1"), *gpu(watts, "gpu2")]), both, (), energy_window=joint)
    assert found.power_w == pytest.approx(1200)
    assert found.joules_per_image == pytest.approx(1200 / 400)
    assert found.disagreement == pytest.approx(0, abs=1e-9)


def test_idle_power_before_and_after_is_taken_off():
    watts = np.select([TIMES < 5, (TIMES > 9.95) & (TIMES < 16.05), TIMES > 30], [80.0, 600.0, 120.0], 300.0)
    idle = (IdleWindow(when="before", start_s=0, stop_s=4), IdleWindow(when="after", start_s=35, stop_s=40))
    meters = Meters(gpu(watts), idle=idle)
    found = measure(meters, GPU, (), energy_window=window())
    assert found.idle_power_w == pytest.approx(100)
    assert found.net_joules_per_image == pytest.approx(500 / 200)
    (power_of,) = meters.idle
    assert (power_of.before_w, power_of.after_w) == (pytest.approx(80), pytest.approx(120))
    without = measure(Meters(gpu(watts)), GPU, (), energy_window=window())
    assert (without.idle_power_w, without.net_joules_per_image) == (None, None)


def test_power_behind_a_regulator_is_less_than_what_went_in():
    idle = (IdleWindow(when="before", start_s=30, stop_s=35),)
    watts = np.where(TIMES < 20, 9.0, 0.9)
    meters = Meters([*gpu(watts), limit(15)], idle=idle, regulator_efficiency=0.9)
    found = measure(meters, GPU, (), energy_window=window())
    assert found.method == "counter, /0.9 regulator"
    assert found.power_w == pytest.approx(10)
    assert found.joules_per_image == pytest.approx(10 / 200)
    assert found.idle_power_w == pytest.approx(1)
    assert found.net_joules_per_image == pytest.approx(9 / 200)
    assert found.power_limit_w == 15


def test_the_cpu_beside_a_gpu_and_its_limit():
    meters = Meters([*gpu(600), counter(90), limit(700)])
    found = measure(meters, GPU, (), energy_window=window())
    assert found.cpu_joules_per_image == pytest.approx(90 / 200)
    assert found.power_limit_w == 700
    assert measure(meters, CPU, half_second_bursts()).cpu_joules_per_image is None
    assert measure(Meters(gpu(600)), GPU, (), energy_window=window()).cpu_joules_per_image is None


def test_the_limit_is_known_where_the_energy_is_not():
    found = measure(Meters([*gpu(600), limit(700)]), GPU, ())
    assert found.joules_per_image is None and found.power_limit_w == 700


def test_a_power_limit_is_no_power():
    is_unknown(measure(Meters([limit(700)]), GPU, half_second_bursts()), "of cuda:0")


def test_what_one_gpu_lacks_is_no_reason_of_another_trial():
    lacking = [Unavailable(source="nvml", reason="gpu1: energy: Not Supported")]
    is_unknown(measure(Meters([], lacking), GPU, half_second_bursts()), "of cuda:0")


def test_a_number_that_cannot_be_trusted_gives_no_energy():
    facts = ProcessFacts(
        pid=1, python="3", affinity=(), threads=1, allocator="", environment={"CUDA_VISIBLE_DEVICES": "MIG-1"}
    )
    found = measure(Meters(gpu(600)), GPU, half_second_bursts(), process=facts)
    is_unknown(found, "CUDA_VISIBLE_DEVICES=MIG-1")


EIGHTHS = st.integers(0, 160).map(lambda eighths: eighths / 8)


@given(st.floats(1, 1000), st.floats(0, 50), st.floats(0.01, 100))
def test_energy_of_a_window_is_linear_in_power(watts, slope, factor):
    trace = watts + slope * TIMES
    once, scaled = (measure(Meters(gpu(f * trace)), GPU, (), energy_window=window()) for f in (1.0, factor))
    assert scaled.joules_per_image == pytest.approx(factor * once.joules_per_image)


@given(st.floats(1, 1000), st.floats(0, 50), EIGHTHS)
def test_counter_and_integral_agree_on_constant_power_and_on_a_ramp(watts, slope, start_s):
    span = window(start_s=1 + start_s)
    both = measure(Meters(gpu(watts + slope * TIMES)), GPU, (), energy_window=span)
    alone = measure(Meters(gpu(watts + slope * TIMES)[1:]), GPU, (), energy_window=span)
    assert both.disagreement == pytest.approx(0, abs=1e-6)
    assert (both.method, alone.method) == ("counter", "integral")
    assert alone.power_w == pytest.approx(both.power_w)


@given(st.integers(-1000, 1000), EIGHTHS)
def test_shifting_time_shifts_nothing(shift_s, start_s):
    trace = 300 + 200 * np.sin(TIMES) ** 2
    eighths = np.arange(len(TIMES)) / 8  # exact in binary: no reading changes sides by rounding

    def at(offset_s):
        series = [Series(s.channel, eighths + offset_s, s.values) for s in gpu(trace)]
        return measure(Meters(series), GPU, (), energy_window=window(start_s=1 + start_s + offset_s))

    assert at(shift_s).joules_per_image == pytest.approx(at(0).joules_per_image, rel=1e-9)
    assert at(shift_s).disagreement == pytest.approx(at(0).disagreement, abs=1e-9)
