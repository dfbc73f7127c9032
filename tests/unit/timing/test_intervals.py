"""The interval of throughput: its value, its width, and whether it holds what it promises."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.timing.intervals import Interval, throughput_interval, unbounded

BURSTS = st.lists(st.tuples(st.integers(1, 10_000), st.floats(0.01, 10)), min_size=3, max_size=30)


def test_value_is_all_images_over_all_time_not_a_mean_of_rates():
    interval = throughput_interval([100, 300], [1.0, 1.0])
    assert interval.value == 200
    assert throughput_interval([100, 900], [1.0, 3.0]).value == 250


def test_worked_example():
    """Residuals -1, 0, 1 of three one-second bursts: error = sqrt(2 * 3 / 2) / 3, t(2) = 4.3027."""
    interval = throughput_interval([9, 10, 11], [1, 1, 1])
    assert interval.high - interval.value == pytest.approx(4.302653 * math.sqrt(3) / 3, rel=1e-6)


def test_refused_without_enough_bursts():
    assert throughput_interval([], []) is None
    assert throughput_interval([5], [0.0]) is None
    two = throughput_interval([100, 110], [1, 1])
    assert two.value == 105
    assert not two.is_bounded
    assert math.isnan(two.half_width)


@given(BURSTS)
def test_the_value_lies_inside_and_order_does_not_matter(bursts):
    images, times = zip(*bursts, strict=True)
    interval = throughput_interval(images, times)
    assert 0 <= interval.low <= interval.value <= interval.high
    turned = throughput_interval(images[::-1], times[::-1])
    assert turned.high == pytest.approx(interval.high, rel=1e-9)


@given(BURSTS, st.sampled_from([1e-3, 1e3]))
def test_another_unit_of_time_scales_everything(bursts, factor):
    images, times = zip(*bursts, strict=True)
    interval = throughput_interval(images, times)
    scaled = throughput_interval(images, np.array(times) / factor)
    assert scaled.value == pytest.approx(interval.value * factor)
    assert scaled.high == pytest.approx(interval.high * factor)
    assert interval.scaled(factor).low == pytest.approx(scaled.low, abs=1e-9 * scaled.value)


@given(BURSTS, st.integers(2, 5))
def test_more_of_the_same_narrows(bursts, times_more):
    images, times = zip(*bursts, strict=True)
    once, more = (
        throughput_interval(images, times),
        throughput_interval(images * times_more, times * times_more),
    )
    assert more.high - more.low <= (once.high - once.low) * (1 + 1e-9) + 1e-9 * once.value


@pytest.mark.parametrize("bursts", [5, 12])
def test_coverage_is_near_95_percent(bursts):
    """4000 seeded trials of bursts with 3 % scatter of speed and 10 % of length."""
    rng = np.random.default_rng(bursts)
    inside = 0
    for _ in range(4000):
        times = rng.uniform(0.36, 0.44, bursts)
        images = times * 1000 * (1 + 0.03 * rng.standard_normal(bursts))
        interval = throughput_interval(images, times)
        inside += interval.low <= 1000 <= interval.high
    assert 0.935 < inside / 4000 < 0.965


def test_overlap():
    first = Interval(value=10, low=9, high=11)
    assert first.overlaps(Interval(value=11.5, low=11, high=12))
    assert not first.overlaps(Interval(value=12, low=11.5, high=12.5))
    assert first.overlaps(unbounded(99))


def test_half_width_is_relative():
    assert Interval(value=200, low=198, high=202).half_width == pytest.approx(0.01)
    assert Interval(value=0, low=0, high=0).half_width == 0
