from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.number_formats import (
    SIGNIFICANT_BITS,
    fused_multiply_add,
    rounded,
    spacing,
)
from tensordyno.vocabulary import Precision

NARROW = [Precision.FP16, Precision.BF16, Precision.TF32]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
MIDDLING = st.floats(-(2.0**40), 2.0**40, width=32).filter(lambda number: number == 0 or abs(number) > 2**-40)


def nearest(exact, precision):
    """A fraction as the nearest float of the format, halves to even, whatever its size."""
    if exact == 0:
        return 0.0
    _, exponent = np.frexp(float(exact))
    lowest = -14 if precision is Precision.FP16 else -126
    last = Fraction(2) ** (max(int(exponent) - 1, lowest) - SIGNIFICANT_BITS[precision] + 1)
    return float(round(exact / last) * last)


@pytest.mark.parametrize("precision", NARROW)
@given(number=FLOATS)
def test_rounds_to_nearest_even(precision, number):
    expected = nearest(Fraction(number), precision)
    limit = 65504 if precision is Precision.FP16 else float(rounded(np.finfo(np.float32).max, Precision.FP32))
    found = rounded(number, precision)
    assert found == (expected if abs(expected) <= limit else np.sign(expected) * np.inf)


@pytest.mark.parametrize("precision", NARROW)
def test_halves_go_to_even_and_carry_into_the_exponent(precision):
    last = 2.0 ** (1 - SIGNIFICANT_BITS[precision])
    numbers = np.float32([1 + last / 2, 1 + 3 * last / 2, 2 - last / 2, -1 - last / 2])
    assert rounded(numbers, precision).tolist() == [1, 1 + 2 * last, 2, -1]


@pytest.mark.parametrize("precision", NARROW)
def test_what_is_no_number_stays(precision):
    words = np.uint32([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x80000000])
    found = rounded(words.view(np.float32), precision)
    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == [np.inf, -np.inf, 0]
    assert np.signbit(found[5])


@pytest.mark.parametrize("precision", NARROW)
@given(words=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_rounding_twice_is_rounding_once_and_keeps_order(precision, words):
    numbers = np.sort(np.uint32(words).view(np.float32))
    numbers = numbers[np.isfinite(numbers)]
    once = rounded(numbers, precision)
    np.testing.assert_array_equal(rounded(once, precision), once)
    assert (once[1:] >= once[:-1]).all()


def test_bf16_is_the_one_of_torch():
    import torch

    words = np.random.default_rng(1).integers(0, 2**32, 20_000, np.uint32)
    numbers = words.view(np.float32)
    theirs = torch.from_numpy(numbers.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(rounded(numbers, Precision.BF16), theirs)


def test_fp32_is_left_alone_and_integers_are_no_such_format():
    assert rounded(0.1, Precision.FP32) == np.float32(0.1)
    with pytest.raises(KeyError):
        rounded(0.1, Precision.INT8)


@pytest.mark.parametrize("precision", [*NARROW, Precision.FP32])
@given(number=st.floats(-1000, 1000, width=32))
def test_spacing_leads_to_the_next_number(precision, number):
    here = rounded(abs(number), precision)
    step = spacing(here, precision)
    above = here + step
    assert rounded(above, precision) == above
    assert rounded(here + step * 0.25, precision) == here


@given(a=MIDDLING, b=MIDDLING, c=MIDDLING)
def test_fused_multiply_add_rounds_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert fused_multiply_add(*np.float32([a, b, c])) == nearest(exact, Precision.FP32)


def test_fused_multiply_add_where_two_roundings_go_wrong():
    a, c = np.float32(1 + 2**-12), np.float32(2**-60)
    assert np.float32(np.float64(a) * a + c) != nearest(
        Fraction(float(a)) ** 2 + Fraction(2) ** -60, Precision.FP32
    )
    for sign in (1, -1):
        exact = sign * (Fraction(float(a)) ** 2 + Fraction(2) ** -60)
        assert fused_multiply_add(sign * a, a, sign * c) == nearest(exact, Precision.FP32)


@pytest.mark.parametrize("precision", NARROW)
def test_sums_in_float32_meet_the_stated_tolerance(precision):
    random = np.random.default_rng(2)
    left, right = (rounded(random.standard_normal((500, 2000)), precision) for _ in range(2))
    products = left.astype(np.float64) * right
    kernel = np.add.accumulate(products.astype(np.float32), axis=1)[:, -1]
    assert mismatches(kernel, products.sum(axis=1))[0] > 100
    oracle = products.sum(axis=1).astype(np.float32)
    sums = 2002 * 2.0**-24 * np.abs(products).sum(axis=1)
    assert mismatches(kernel, oracle, sums)[0] == 0
    if precision is not Precision.TF32:
        kernel, oracle = rounded(kernel, precision), rounded(oracle, precision)
        assert mismatches(kernel, oracle, spacing(oracle, precision) + sums)[0] == 0
