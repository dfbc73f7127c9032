"""Ratios of throughputs: paired where bursts interleave, Welch where they do not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tensordyno.analysis.ratio import paired_ratio, throughput_ratio

from .builders import bursts, changed

SEEDS = st.integers(0, 10_000)


def test_interleaved_bursts_are_paired_and_a_common_drift_cancels():
    drift = 1 + 0.3 * np.sin(np.arange(8))
    over = [bursts(200 * d, 1, start_s=2 * i)[0] for i, d in enumerate(drift)]
    under = [bursts(100 * d, 1, start_s=2 * i + 1)[0] for i, d in enumerate(drift)]
    ratio = throughput_ratio(over, under)
    assert (ratio.method, ratio.rounds) == ("paired", 8)
    assert ratio.interval.value == pytest.approx(2)
    assert ratio.interval.half_width < 1e-9
    unpaired = throughput_ratio(over, under, one_clock=False)
    assert unpaired.method == "unpaired"
    assert unpaired.interval.half_width > 0.1


def test_bursts_one_after_the_other_are_not_paired():
    ratio = throughput_ratio(bursts(200, 6, scatter=0.01), bursts(100, 6, start_s=50, scatter=0.01, seed=1))
    assert ratio.method == "unpaired"
    assert ratio.interval.value == pytest.approx(2, rel=0.02)


def test_a_missing_burst_does_not_shift_the_pairs():
    drift = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    over = [bursts(200 * d, 1, start_s=2 * i)[0] for i, d in enumerate(drift)]
    under = [bursts(100 * d, 1, start_s=2 * i + 1)[0] for i, d in enumerate(drift)]
    under[2] = changed(under[2], contended=True)
    over[4] = changed(over[4], batches=0, images=0, contended=True)
    ratio = throughput_ratio(over, under)
    assert (ratio.method, ratio.rounds) == ("paired", 4)
    assert ratio.interval.half_width < 1e-9


def test_too_few_whole_rounds_fall_back_on_the_means():
    over, under = bursts(200, 8, every_s=2), bursts(100, 8, start_s=1, every_s=2)
    lost = [changed(b, contended=i % 2 == 0) for i, b in enumerate(over)]
    other = [changed(b, contended=i % 2 == 1) for i, b in enumerate(under)]
    ratio = throughput_ratio(lost, other)
    assert (ratio.method, ratio.rounds) == ("unpaired", 4)
    assert ratio.interval.value == pytest.approx(2)


def test_the_order_within_a_round_does_not_matter():
    """A B | B A | A B ...: shuffled rounds stay rounds."""
    starts = [(0, 1), (3, 2), (4, 5), (7, 6)]
    over = [bursts(200, 1, start_s=a)[0] for a, _ in starts]
    under = [bursts(100, 1, start_s=b)[0] for _, b in starts]
    assert throughput_ratio(over, under).rounds == 4
    assert throughput_ratio(over, under).method == "paired"


def test_unpaired_interval_is_welch_on_logarithms():
    over, under = bursts(200, 9, scatter=0.05), bursts(100, 14, start_s=100, scatter=0.1, seed=1)
    logs = [[math.log(b.images / b.duration_s) for b in side] for side in (over, under)]
    expected = stats.ttest_ind(*logs, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    found = throughput_ratio(over, under).interval
    assert math.log(found.value) == pytest.approx(np.mean(logs[0]) - np.mean(logs[1]))
    assert math.log(found.low) == pytest.approx(low, rel=0.01)  # degrees are rounded down
    assert math.log(found.high) == pytest.approx(high, rel=0.01)
    assert found.low <= math.exp(low)


def test_too_few_bursts():
    assert throughput_ratio(bursts(count=2), bursts(count=9, start_s=0.5)) is None
    assert throughput_ratio((), bursts()) is None
    assert paired_ratio([0.1, 0.2]) is None


def test_identical_bursts_have_no_width():
    ratio = throughput_ratio(bursts(100), bursts(100, start_s=100))
    assert ratio.interval.value == pytest.approx(1)
    assert ratio.interval.half_width < 1e-9


@given(SEEDS, st.sampled_from([0.5, 100.0]))
def test_swapping_the_sides_inverts_the_ratio(seed, start_s):
    over = bursts(200, 7, scatter=0.05, seed=seed)
    under = bursts(100, 7, start_s=start_s, scatter=0.05, seed=seed + 1)
    there, back = throughput_ratio(over, under).interval, throughput_ratio(under, over).interval
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high)
    assert there.low < there.value < there.high


@given(SEEDS, st.sampled_from([1e-3, 1e3]))
def test_the_unit_of_time_does_not_matter(seed, factor):
    over, under = bursts(200, 6, scatter=0.05, seed=seed), bursts(100, 6, start_s=0.5, scatter=0.05, seed=9)
    slow_over, slow_under = (
        [
            type(b)(start_s=b.start_s * factor, stop_s=b.stop_s * factor, batches=1, images=b.images)
            for b in side
        ]
        for side in (over, under)
    )
    assert throughput_ratio(slow_over, slow_under).interval.high == pytest.approx(
        throughput_ratio(over, under).interval.high
    )


def test_coverage_of_paired_ratios_under_strong_drift():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(3000):
        logs = math.log(1.5) + 0.02 * rng.standard_normal(6)
        found = paired_ratio(logs)
        inside += found.low <= 1.5 <= found.high
    assert 0.935 < inside / 3000 < 0.965


def test_coverage_of_unpaired_ratios():
    inside = 0
    for seed in range(1500):
        over = bursts(150, 5, scatter=0.01, seed=2 * seed)
        under = bursts(100, 8, start_s=100, scatter=0.03, seed=2 * seed + 1)
        found = throughput_ratio(over, under).interval
        inside += found.low <= 1.5 <= found.high
    assert 0.93 < inside / 1500 < 0.975
