import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345.6, "12,346"),
        (0.012345, "0.0123"),
        (52.04, "52.0"),
        (0, "0"),
        (-3.14159, "-3.14"),
        (math.nan, "-"),
    ],
)
def test_significant_digits(value, text):
    assert units.significant(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0192, "s", "19.2 ms"), (1.5e-6, "s", "1.50 µs"), (2.0, "s", "2.00 s"), (3.2e9, "B/s", "3.20 GB/s")],
)
def test_si_prefixes(value, unit, text):
    assert units.with_unit(value, unit) == text


@pytest.mark.parametrize(("size", "text"), [(1536, "1.50 KiB"), (0, "0 B"), (5 * 2**30, "5.00 GiB")])
def test_binary_prefixes(size, text):
    assert units.bytes_text(size) == text


def test_an_interval_is_shown_as_half_width_in_percent():
    assert units.with_interval(52.0, 51.48, 52.52) == "52.0 ±1.0 %"


@given(st.floats(1e-9, 1e12))
def test_scaling_keeps_three_digits_of_the_value(value):
    text = units.with_unit(value, "s", digits=3)
    number, unit = text.split(" ")
    factor = {"Ts": 1e12, "Gs": 1e9, "Ms": 1e6, "ks": 1e3, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        ((-0.0005, -0.0031, 0.0021), "-0.05 points (-0.31 to +0.21)"),
        ((0.0, -0.001, 0.001), "0.00 points (-0.10 to +0.10)"),
        ((-1e-6, -1e-6, 1e-6), "0.00 points (0.00 to 0.00)"),
        ((0.01, math.nan, math.nan), "+1.00 points"),
    ],
)
def test_a_difference_of_accuracies_in_points(difference, text):
    assert units.points_text(*difference) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([5], "5"), ([0, 1, 2, 3, 8], "0-3, 8"), ([0, 2, 3], "0, 2-3")]
)
def test_neighbours_are_ranges(numbers, text):
    assert units.ranges_text(numbers) == text
