import numpy as np
import pytest

from tensordyno.analysis.idle import IdlePower, idle_power
from tensordyno.analysis.meters import counters, integrals
from tensordyno.records.device import IdleWindow
from tensordyno.records.reading import Channel
from tensordyno.store.reader import Series

TIMES = np.arange(0, 100, 0.1)


def window(start_s, when="before", **fields):
    return IdleWindow(when=when, start_s=start_s, stop_s=start_s + 5, **fields)


def counter(watts):
    joules = np.cumsum(np.broadcast_to(watts, TIMES.shape)) * 0.1
    channel = Channel(source="nvml", name="energy", unit="J", device="gpu0", cumulative=True)
    return counters([Series(channel, TIMES, joules)])[0]


def test_sessions_of_one_run_have_equal_weight():
    watts = np.where(TIMES < 50, 70.0, 90.0)
    found = idle_power(counter(watts), [window(10), window(60), window(90, "after")])
    assert found.before_w == pytest.approx(80)
    assert found.after_w == pytest.approx(90)
    assert found.mean_w == pytest.approx(85)
    assert found.moved == pytest.approx(1 / 8)


def test_a_window_without_readings_is_not_known():
    assert idle_power(counter(70), [window(200)]) == IdlePower(device="gpu0")
    half = idle_power(counter(70), [window(10), window(200, "after")])
    assert (half.mean_w, half.after_w, half.moved) == (pytest.approx(70), None, None)


def test_a_slow_sensor_forgets_the_load_during_the_cool_down():
    watts = np.where(TIMES < 20, 700.0, np.clip(700 - 600 * (TIMES - 20), 100, 700))
    channel = Channel(source="nvml", name="power", unit="W", device="gpu0")
    (meter,) = integrals([Series(channel, TIMES, watts)])
    assert idle_power(meter, [window(20, "after")]).after_w == pytest.approx(100)
    waited = window(23, "after", cool_down_s=3.0)
    assert idle_power(meter, [waited]).after_w == pytest.approx(100)


def test_nothing_drawn_before_is_no_base_of_a_change():
    assert IdlePower(device="gpu0", before_w=0.0, after_w=10.0).moved is None
