"""Single values as text."""

import math

import pytest

from tensordyno.analysis.scores import Interval
from tensordyno.report import cells
from tensordyno.vocabulary import Verdict

BARE = Interval(value=52.04, low=math.nan, high=math.nan)


def interval(value, low, high):
    return Interval(value=value, low=low, high=high)


def test_a_refused_interval_leaves_the_bare_value():
    assert cells.rate(BARE) == "52.0"
    assert cells.duration_range(BARE) == ""
    assert cells.rate(interval(52.0, 51.5, 52.5)) == "52.0 ±0.96 %"


def test_the_unknown_is_a_dash_and_never_a_zero():
    unknown = (
        cells.rate(None),
        cells.duration(None),
        cells.ratio(None),
        cells.share(None),
        cells.number(None),
    )
    assert set(unknown) == {cells.UNKNOWN}


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0189, 0.0194, "18.9–19.4 ms"), (0.99, 1.2, "990 ms–1.20 s"), (2e-5, 3e-5, "20.0–30.0 µs")],
)
def test_a_range_names_its_unit_once_where_it_can(low, high, text):
    assert cells.duration_range(interval((low + high) / 2, low, high)) == text


def test_an_accuracy_is_in_percent():
    assert cells.share(interval(0.909, 0.896, 0.921)) == "90.90 % (89.6–92.1)"


def test_differences_have_signs_and_their_intervals():
    assert cells.difference(interval(-0.0015, -0.0062, 0.0031)) == "−0.15 (−0.62 to +0.31)"
    assert cells.difference(Interval(value=0.001, low=math.nan, high=math.nan)) == "+0.10"
    assert cells.difference(None) == cells.percent(None) == cells.UNKNOWN
    assert cells.percent(0.98765) == "98.77 %" and cells.signed(-0.5) == "−0.50"


def test_listing():
    assert cells.listing([]) == ""
    assert cells.listing(["a"]) == "a"
    assert cells.listing(["a", "b", "c"]) == "a, b and c"
    assert cells.listing(list("abcdef"), 2) == "a, b and 4 more"


def test_verdicts_are_words():
    assert cells.verdict(Verdict.OUT_OF_MEMORY) == "out of memory"


def test_numbers_have_three_digits():
    assert cells.number(1234.5, "W") == "1,234 W" and cells.number(0.5) == "0.500"


def test_a_ratio_of_throughputs():
    assert cells.times(Interval(value=3.868, low=3.86, high=3.876)) == "3.87× (3.86–3.88)"
    assert cells.times(Interval(value=2.0, low=math.nan, high=math.nan)) == "2.00×"
    assert cells.times(None) == "–"
