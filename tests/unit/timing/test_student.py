"""Student's t against SciPy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from tensordyno.timing.student import incomplete_beta, t_quantile, t_survival


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7.5, 10, 30, 100, 1e3, 1e5, 9e5, 1.1e6, 1e9])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999])
def test_quantile_agrees_with_scipy(probability, degrees):
    expected = stats.t.ppf(probability, degrees)
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_published_table():
    """Two-sided 95 %, three decimals, as every textbook prints them."""
    table = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262, 29: 2.045, 120: 1.980}
    for degrees, value in table.items():
        assert t_quantile(0.975, degrees) == pytest.approx(value, abs=5e-4)


@given(st.floats(0.001, 0.999), st.floats(1, 1e4))
def test_quantile_is_odd_and_inverts_the_survival_function(probability, degrees):
    t = t_quantile(probability, degrees)
    assert t == pytest.approx(-t_quantile(1 - probability, degrees), abs=1e-9)
    if t >= 0:
        assert t_survival(t, degrees) == pytest.approx(1 - probability, rel=1e-9)


@given(st.floats(0.55, 0.999), st.floats(1, 500), st.floats(0.1, 100))
def test_more_degrees_of_freedom_give_lighter_tails(probability, degrees, more):
    assert t_quantile(probability, degrees + more) < t_quantile(probability, degrees)


@given(st.floats(0.5, 1e3), st.floats(0.5, 1e3), st.floats(0, 1))
def test_incomplete_beta_agrees_with_scipy(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(
    ("probability", "degrees"), [(0, 3), (1, 3), (0.5, 0), (0.5, -1), (0.5, float("nan"))]
)
def test_no_quantile_outside_its_range(probability, degrees):
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(probability, degrees)
