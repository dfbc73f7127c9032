"""percentile is numpy's, within a bin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.errors import UsageError
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods import percentile

PERCENTS = (1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 100.0)


def histogram(values):
    made = Histogram()
    made.add(values)
    return made


@pytest.mark.parametrize("percent", PERCENTS)
@pytest.mark.parametrize("count", [1, 7, 1003, 10_007, 123_457])
def test_it_is_numpys_within_a_bin(percent, count):
    values = np.random.default_rng(count).laplace(size=count).astype(np.float32)
    made = histogram(values)
    expected = np.percentile(np.abs(values), percent, method="inverted_cdf")
    assert expected <= percentile.threshold(made, percent) <= expected + made.width


@given(
    arrays(np.float32, st.integers(1, 200), elements=st.floats(0.5, 1000, width=32)),
    st.sampled_from(PERCENTS),
)
def test_so_many_values_lie_below(values, percent):
    found = percentile.threshold(histogram(values), percent)
    assert np.mean(values <= found) >= percent / 100 - 1e-9


def test_the_default_clips_one_in_ten_thousand():  # where numpy, by rounding, clips none
    values = np.arange(1, 10_001, dtype=np.float32)
    made = histogram(values)
    assert 9999 <= percentile.threshold(made, None) <= 9999 + made.width
    assert percentile.threshold(made, 100.0) == 10_000


def test_zeros_count_but_never_win():
    relu = np.concatenate([np.zeros(900), np.arange(1, 101)])
    made = histogram(relu)
    assert 50 <= percentile.threshold(made, 95.0) <= 50 + made.width
    assert percentile.threshold(made, 90.0) == 100.0  # the percentile is 0: no range


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.1, float("nan"), float("inf")])
def test_no_percentile_is_refused(percent):
    with pytest.raises(UsageError, match="percentile of") as refused:
        percentile.threshold(histogram([1.0]), percent)
    assert refused.value.slug == "bad-method"
