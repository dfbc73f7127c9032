"""entropy agrees with a naive reading of Migacz 2017, and holds where the plain method fails."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.datasets.fashion import FILE
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods import entropy


def histogram(values):
    made = Histogram()
    made.add(values)
    return made


def naive_divergence(counts, kept):
    """KL(P || Q) bin by bin, as on the slides; counts are Python ints."""
    inside, outside = counts[:kept], sum(counts[kept:])
    p = [*inside[:-1], inside[-1] + outside]
    q = [0.0] * kept
    for level in range(128):
        members = [bin_ for bin_ in range(kept) if bin_ * 128 // kept == level]
        filled = [bin_ for bin_ in members if inside[bin_]]
        for bin_ in filled:
            q[bin_] = sum(inside[member] for member in members) / len(filled)
    if outside and not inside[-1]:
        q[-1] = 1.0
    of_p, of_q = sum(p), sum(q)
    return sum(a / of_p * math.log((a / of_p) / (b / of_q)) for a, b in zip(p, q, strict=True) if a)


def naive_range(counts):
    """The widest of the best ranges among those that clip at most one value in ten thousand."""
    best, found = math.inf, len(counts)
    for kept in range(min(2048, len(counts)), 127, -1):
        if sum(counts[kept:]) <= sum(counts) // 10_000:
            here = naive_divergence(counts, kept)
            if here < best - 1e-12:
                best, found = here, kept
    return found


bins = st.lists(st.integers(0, 50) | st.sampled_from([0, 0, 0, 1, 10_000]), min_size=128, max_size=300)


@settings(max_examples=25)
@given(bins)
def test_divergences_are_those_of_the_naive_loop(counts):
    if not any(counts):
        counts[5] = 1
    filled = np.array(counts)
    kept = np.unique(np.linspace(128, len(counts), 20).astype(int))
    kept = kept[[filled[:k].any() for k in kept]]
    expected = [naive_divergence(counts, int(k)) for k in kept]
    np.testing.assert_allclose(entropy.divergences(filled, kept), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_range_is_that_of_the_naive_loop(seed):
    random = np.random.default_rng(seed)
    values = np.abs(random.standard_t(3 + 2 * seed, 30_000))
    counts = np.bincount((values / values.max() * 399).astype(int), minlength=400)
    mine, naive = entropy.best_range(counts), naive_range(counts.tolist())
    assert mine == naive


def test_the_threshold_is_half_a_bin_beyond_the_range():
    made = histogram(np.random.default_rng(0).laplace(size=200_000))
    together = -(-made.used // 2048)
    found = entropy.threshold(made, None)
    bins_kept = found / (together * made.width) - 0.5
    assert bins_kept == round(bins_kept)
    assert 128 <= bins_kept <= 2048


def test_zeros_change_nothing():
    values = np.random.default_rng(2).laplace(size=50_000)
    with_zeros = histogram(np.append(values, np.zeros(1_000_000)))
    assert entropy.threshold(with_zeros, None) == entropy.threshold(histogram(values), None)


@pytest.mark.parametrize("outlier", [50.0, 200.0, 1000.0])
def test_one_far_outlier_is_clipped_and_the_bins_get_finer(outlier):
    values = np.random.default_rng(3).standard_normal(100_000)
    alone = entropy.threshold(histogram(values), None)
    found = entropy.threshold(histogram(np.append(values, outlier)), None)
    assert 0.7 * alone < found < 1.5 * alone


def test_at_most_one_value_in_ten_thousand_is_clipped():
    spike = np.concatenate([np.full(60_000, 1.0), np.linspace(1.2, 4, 40_000)])
    found = entropy.threshold(histogram(spike), None)
    assert np.mean(spike > found) <= 0.0001


def test_the_background_of_an_image_does_not_end_its_range():
    with np.load(FILE) as stored:
        pixels = (stored["x_calib"][:200] / 255 - 0.2860) / 0.3530
    made = histogram(pixels)
    background = 0.2860 / 0.3530
    assert np.mean(np.abs(pixels - -background) < 1e-6) > 0.4
    assert entropy.threshold(made, None) > 2 * background


def test_a_tensor_whose_sample_was_all_zero_keeps_its_largest_value():
    made = histogram(np.zeros(100))
    made.cover(0.0, 6.0)
    assert entropy.threshold(made, None) == 6.0
