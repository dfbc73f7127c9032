import numpy as np
import pytest
from forge_operations import from_half, normal, tensor, written
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.reference_values import Value, clamped, reciprocal, store

SCALES = st.floats(2.0**-30, 2.0**30, width=32)


@pytest.mark.parametrize("unsigned", [False, True])
@given(scale=SCALES)
def test_every_integer_comes_back_from_its_real_number(unsigned, scale):
    out = tensor((256,), scale, unsigned)
    numbers = np.arange(256)[None].astype(np.uint8).view(np.uint8 if unsigned else np.int8)
    again = store(Value(numbers, np.float32(scale)).real, out)
    assert again.numbers.dtype == numbers.dtype
    np.testing.assert_array_equal(again.numbers, numbers)


@pytest.mark.parametrize("unsigned", [False, True])
@given(scale=SCALES, seed=st.integers(0, 2**32))
def test_a_product_rounds_as_a_quotient_but_next_to_halves(unsigned, scale, seed):
    real = normal(np.random.default_rng(seed), 1, 500, scale=50 * scale)
    out = tensor((500,), scale, unsigned)
    apart = np.abs(store(real, out).numbers.astype(np.int16) - written(real, out))
    assert apart.max() <= 1
    steps = np.abs(real.astype(np.float64)) / scale
    assert (from_half(real, scale) <= 1.8e-7 * steps)[apart > 0].all()


def test_how_often_a_product_and_a_quotient_part():
    random = np.random.default_rng(6)
    real = normal(random, 1, 1_000_000, scale=2)
    count, largest = mismatches(
        store(real, tensor((1,), 0.0371)).numbers, written(real, tensor((1,), 0.0371))
    )
    assert largest <= 1
    assert count <= 10  # in a million


@given(scale=SCALES, low=st.integers(-2, 1), high=st.floats(1, 8, width=32), seed=st.integers(0, 2**32))
def test_clamping_may_come_behind_scaling_and_rounding(scale, low, high, seed):
    real = normal(np.random.default_rng(seed), 1, 200, scale=5)
    out = tensor((200,), scale)
    steps = reciprocal(scale)
    before = store(clamped(real, Clamp(low, high)), out).numbers
    bounds = np.float32([low, high]) * steps
    between = np.clip(np.rint(np.clip(real * steps, *bounds)), -128, 127)
    after = np.clip(np.clip(np.rint(real * steps), *np.rint(bounds)), -128, 127)
    np.testing.assert_array_equal(before, between)
    np.testing.assert_array_equal(before, after)


def test_without_a_scale_numbers_stay():
    real = np.float32([[0.1, -1e9]])
    assert store(real, tensor((2,))).numbers is real
    assert clamped(real, None) is real
