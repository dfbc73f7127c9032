"""Percentiles, their intervals, and the refusal to state them."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tensordyno.analysis.order_statistics import fewest_samples, interval_ranks, percentiles


@pytest.mark.parametrize(
    ("percentile", "fewest"), [(99, 459), (90, 44), (50, 7), (99.9, 4603), (95, 90), (1, 459)]
)
def test_samples_needed_at_99_percent_confidence(percentile, fewest):
    assert fewest_samples(percentile) == fewest


@pytest.mark.parametrize(("percentile", "fewest"), [(50, 11), (90, 64), (95, 130), (99, 662), (99.9, 6636)])
def test_with_one_to_spare_it_is_loadgens_rule(percentile, fewest):
    """MLPerf LoadGen's early stopping, as its mlperf.conf and its output state (64 and 662)."""
    assert fewest_samples(percentile, spare=1) == fewest


@given(st.floats(1, 99), st.floats(0.5, 0.999), st.integers(0, 3))
def test_the_rule_is_the_smallest_that_holds(percentile, confidence, spare):
    beyond = min(percentile, 100 - percentile) / 100
    n = fewest_samples(percentile, confidence, spare)
    assert stats.binom.cdf(spare, n, beyond) <= 1 - confidence + 1e-12
    assert n == spare + 1 or stats.binom.cdf(spare, n - 1, beyond) > 1 - confidence - 1e-12


@pytest.mark.parametrize("bad", [(0, 0.99), (100, 0.99), (50, 0), (50, 1)])
def test_no_rule_outside_its_range(bad):
    with pytest.raises(ValueError, match="no sample rule"):
        fewest_samples(*bad)


@pytest.mark.parametrize(("n", "ranks"), [(10, (2, 9)), (20, (6, 15)), (50, (18, 33)), (100, (40, 61))])
def test_ranks_of_the_median_as_published(n, ranks):
    """The classical table of 95 % order-statistic intervals of the median (sign test)."""
    assert interval_ranks(n, 50) == ranks


@given(st.integers(459, 200_000), st.sampled_from([50, 90, 99]))
def test_ranks_agree_with_scipy(n, percentile):
    low, high = interval_ranks(n, percentile)
    p = percentile / 100
    assert stats.binom.cdf(low - 1, n, p) <= 0.025 < stats.binom.cdf(low, n, p)
    assert stats.binom.sf(high - 1, n, p) <= 0.025 < stats.binom.sf(high - 2, n, p)


def test_ranks_of_a_million_agree_with_scipy():
    low, high = interval_ranks(1_000_000, 99)
    assert stats.binom.cdf(low - 1, 1_000_000, 0.99) <= 0.025 < stats.binom.cdf(low, 1_000_000, 0.99)
    assert stats.binom.sf(high - 1, 1_000_000, 0.99) <= 0.025 < stats.binom.sf(high - 2, 1_000_000, 0.99)


def test_too_few_samples_do_not_enclose():
    with pytest.raises(ValueError, match="do not enclose"):
        interval_ranks(5, 50)


def test_refusal_is_none_and_begins_below_the_rule():
    rng = np.random.default_rng(0)
    assert percentiles(rng.random(6)) == (None, None, None)
    p50, p90, p99 = percentiles(rng.random(458))
    assert p50 is not None
    assert p90 is not None
    assert p99 is None
    assert percentiles(rng.random(459))[2] is not None


def test_an_observed_latency_and_never_an_interpolation():
    samples = np.arange(1, 1001, dtype=float)
    assert [p.value for p in percentiles(samples)] == [500, 900, 990]
    assert percentiles(samples, [29, 7]) == percentiles(samples[::-1], [29, 7])
    assert percentiles(np.arange(1, 101.0), [29])[0] is not None
    assert percentiles(np.arange(1, 101.0), [29])[0].value == 29


SAMPLES = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).lognormal(-4, 0.3, 600))


@given(SAMPLES, st.sampled_from([1e-3, 1e3]))
def test_units_scale_order_does_not_matter_and_percentiles_rise(samples, factor):
    found = percentiles(samples)
    for before, after in zip(found, percentiles(np.flip(samples) * factor), strict=True):
        assert after.value == before.value * factor
        assert after.high == before.high * factor
    assert all(p.low <= p.value <= p.high for p in found)
    assert found[0].value <= found[1].value <= found[2].value


@pytest.mark.parametrize("percentile", [50, 90, 99])
def test_coverage_is_at_least_95_percent_whatever_the_distribution(percentile):
    rng = np.random.default_rng(percentile)
    truth = float(np.exp(stats.norm.ppf(percentile / 100)))
    inside = 0
    for _ in range(1500):
        found = percentiles(rng.lognormal(size=700), [percentile])[0]
        inside += found.low <= truth <= found.high
    assert inside / 1500 > 0.94


def test_a_million_samples_take_less_than_a_second_of_cpu():
    samples = np.random.default_rng(0).random(1_000_000)
    start = time.process_time()
    percentiles(samples)
    assert time.process_time() - start < 1.0
