from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.graph import Clamp, Tensor
from tensordyno.forge.kernels.reference_values import clamped, limits, store
from tensordyno.forge.passes.clamps import EVERYTHING, is_on_steps, is_open, on_steps, then

VALUES = np.linspace(-40, 40, 3203, dtype=np.float32)

bounds = st.floats(-20, 20, width=32)
clamps = st.one_of(
    st.tuples(bounds, bounds).map(lambda pair: Clamp(*sorted(pair))),
    bounds.map(lambda low: Clamp(low, inf)),
    bounds.map(lambda high: Clamp(-inf, high)),
)
tensors = st.builds(
    Tensor, st.just("x"), st.just((1,)), st.floats(1 / 64, 0.25, width=32), unsigned=st.booleans()
)


@given(first=st.none() | clamps, second=clamps)
def test_one_clamp_does_what_two_in_a_row_do(first, second):
    expected = clamped(clamped(VALUES, first), second)
    np.testing.assert_array_equal(clamped(VALUES, then(first, second)), expected)


@given(clamp=clamps, tensor=tensors)
def test_a_clamp_between_two_roundings_moves_in_front_of_both(clamp, tensor):
    twice = store(clamped(store(VALUES, tensor).real, clamp), tensor).numbers
    once = store(clamped(VALUES, on_steps(clamp, tensor)), tensor).numbers
    np.testing.assert_array_equal(once, twice)


@given(low=st.integers(-150, 300), more=st.integers(0, 200), tensor=tensors)
def test_whole_steps_stay_integers(low, more, tensor):
    clamp = Clamp(low * tensor.scale, (low + more) * tensor.scale)
    lowest, highest = limits(tensor)
    representable = low <= highest and low + more >= lowest
    assert is_on_steps(clamp, tensor) == representable
    if representable:
        integers = np.arange(lowest, highest + 1).astype(np.float32)
        held = clamped(integers * np.float32(tensor.scale), clamp)
        np.testing.assert_allclose(store(held, tensor).real, held, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("clamp", "expected"),
    [
        (Clamp(), True),
        (Clamp(0, 6), False),
        (Clamp(0, 100), True),
        (Clamp(-0.05, inf), False),
        (EVERYTHING, True),
    ],
)
def test_bounds_between_steps_or_beyond_all_of_them(clamp, expected):
    assert is_on_steps(clamp, Tensor("x", (1,), 0.13)) is expected


def test_open_clamps():
    assert is_open(Clamp(-inf, inf)) and not is_open(Clamp()) and not is_open(Clamp(-inf, 6.0))
