"""Wilson's interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tensordyno.analysis.proportions import wilson

COUNTS = st.integers(1, 50_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_agrees_with_scipy(counts):
    found = wilson(*counts)
    expected = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(COUNTS)
def test_wrong_answers_mirror_right_ones(counts):
    right, total = counts
    found, mirrored = wilson(right, total), wilson(total - right, total)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_published_example():
    """Ten of ten: 0.7225, Wilson's lower end where the normal interval says 1."""
    assert wilson(10, 10).low == pytest.approx(0.7225, abs=5e-5)
    assert wilson(10, 10).high == 1
    assert wilson(0, 10).low == 0


def test_unknown_is_none_and_nonsense_is_refused():
    assert wilson(0, 0) is None
    for bad in ((3, 2), (-1, 5)):
        with pytest.raises(ValueError, match="no fraction"):
            wilson(*bad)


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.93])
def test_coverage(truth):
    right = np.random.default_rng(1).binomial(500, truth, 3000)
    inside = [w.low <= truth <= w.high for w in (wilson(int(r), 500) for r in right)]
    assert 0.93 < np.mean(inside) < 0.975
