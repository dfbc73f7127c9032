"""mse finds what brute force finds."""

import numpy as np
import pytest

from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods import mse

ONE_CANDIDATE = 2 ** (1 / 128)


def histogram(values):
    made = Histogram()
    made.add(values)
    return made


def brute_force(values, tried):
    """The squared error of every value, quantized and back, for each threshold."""
    errors = []
    for threshold in tried:
        step = threshold / 127
        images = np.minimum(np.rint(np.abs(values) / step), 127) * step
        errors.append(np.square(images - np.abs(values)).sum())
    return np.array(errors)


def draw(kind, random):
    return {
        "normal": lambda: random.standard_normal(4000),
        "relu": lambda: np.maximum(random.standard_normal(4000), 0),
        "laplace": lambda: random.laplace(size=4000),
        "uniform": lambda: random.uniform(-3, 3, 4000),
        "outlier": lambda: np.append(random.standard_normal(4000), 30),
        "grey levels": lambda: random.integers(0, 256, 4000) / 255,
    }[kind]().astype(np.float32)


KINDS = ("normal", "relu", "laplace", "uniform", "outlier", "grey levels")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_it_is_as_good_as_brute_force(kind, seed):
    values = draw(kind, np.random.default_rng(seed)).astype(np.float64)
    made = histogram(values)
    tried = mse.candidates(made.largest)
    errors = brute_force(values, tried)
    mine, best = mse.threshold(made, None), tried[np.argmin(errors)]
    near = max(mine, best) <= min(mine, best) * ONE_CANDIDATE * 1.0001
    as_good = errors[np.flatnonzero(tried == mine)[0]] <= errors.min() * 1.001
    assert near or as_good


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_those_of_the_middles_of_the_bins(kind):
    made = histogram(draw(kind, np.random.default_rng(5)))
    middles = (np.arange(made.used) + 0.5) * made.width
    middles[0] = 0
    tried = mse.candidates(made.largest)[::16]
    expected = brute_force(np.repeat(middles, made.counts[: made.used]), tried)
    np.testing.assert_allclose(mse.squared_errors(made, tried) * made.width**2, expected, rtol=1e-6)


def test_zeros_change_nothing():
    values = draw("laplace", np.random.default_rng(3))
    assert mse.threshold(histogram(np.append(values, np.zeros(100_000))), None) == mse.threshold(
        histogram(values), None
    )


def test_candidates_begin_with_the_largest_and_reach_a_256th():
    tried = mse.candidates(3.3)
    assert tried[0] == 3.3 and tried[-1] == pytest.approx(3.3 / 256)
    np.testing.assert_allclose(tried[:-1] / tried[1:], ONE_CANDIDATE)
