import numpy as np
import pytest
from forge_operations import convolutions, half_steps, normal, tensor
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.graph import Clamp, Convolution
from tensordyno.forge.kernels.compare import mismatches
from tensordyno.forge.kernels.reference_convolution import borderline, convolution
from tensordyno.forge.kernels.reference_folded import fold, folded_convolution
from tensordyno.forge.kernels.reference_values import Value


@pytest.mark.parametrize("contracts", [False, True])
@given(case=convolutions(), spread=st.sampled_from([1.0, 0.25]), unsigned=st.booleans())
def test_it_differs_on_the_borderline_only(contracts, case, spread, unsigned):
    node, inputs, size = case
    real = convolution(node, inputs, tensor(size)).numbers
    out = tensor(size, float(np.abs(real).max() + 0.1) / 127 * spread, unsigned)
    found = folded_convolution(node, inputs, out, contracts=contracts)
    expected = convolution(node, inputs, out)
    near = borderline(node, inputs, out)
    assert (found.numbers.dtype, found.scale) == (expected.numbers.dtype, expected.scale)
    assert mismatches(found.numbers[~near], expected.numbers[~near]) == (0, 0)
    assert mismatches(found.numbers, expected.numbers)[1] <= 1


@given(convolutions())
def test_real_results_differ_by_roundings(case):
    node, inputs, size = case
    found = folded_convolution(node, inputs, tensor(size))
    expected = convolution(node, inputs, tensor(size)).numbers
    assert found.scale is None
    assert mismatches(found.numbers, expected, 1e-6 * (100 + np.abs(expected).max()))[0] == 0


def test_on_halves_it_is_another_way_to_compute():
    node, inputs, out = half_steps(bias=37)  # folded, its factor is 1/8: each half is met and goes to even
    expected = convolution(node, inputs, out).numbers
    found = folded_convolution(node, inputs, out).numbers
    near = borderline(node, inputs, out)
    assert 0.05 < near.mean() < 0.2  # one in eight
    assert mismatches(found, expected)[0] > 20
    assert mismatches(found[~near], expected[~near])[0] == 0


@given(convolutions())
def test_contracting_is_seen_in_last_bits_only(case):
    node, inputs, size = case
    once = folded_convolution(node, inputs, tensor(size)).numbers
    twice = folded_convolution(node, inputs, tensor(size), contracts=False).numbers
    assert mismatches(once, twice, 1e-6 * (100 + np.abs(once).max()))[0] == 0


def test_contracting_is_seen():
    node, inputs, out = half_steps(bias=0.3)
    real = tensor(out.shape)
    once = folded_convolution(node, inputs, real).numbers
    twice = folded_convolution(node, inputs, real, contracts=False).numbers
    assert mismatches(once, twice)[0] > once.size / 10


def test_constants_by_hand():
    node = Convolution(
        name="n",
        inputs=("i", "r"),
        output="o",
        weight=np.ones((2, 1, 1, 1), np.int8),
        weight_scale=np.float32([0.5, 1]),
        bias=np.float32([3, -1]),
        clamp=Clamp(0, 6),
    )
    made = fold(node, [tensor((1, 1, 1), 0.25), tensor((2, 1, 1), 8.0)], tensor((2, 1, 1), 2.0))
    assert made.factor.tolist() == [0.0625, 0.125]
    assert made.bias.tolist() == [1.5, -0.5]
    assert (made.residual_factor, made.low, made.high) == (4, 0, 3)
    inputs = [Value(np.int8([[[[8]]]]), np.float32(0.25)), Value(np.int8([[[[1]], [[0]]]]), np.float32(8))]
    found = folded_convolution(node, inputs, tensor((2, 1, 1), 2.0))
    assert found.numbers.ravel().tolist() == [3, 0]  # 0.5 + 1.5 + 4 is held; 1 - 0.5 goes to even


def test_real_numbers_are_refused():
    node = Convolution(
        name="real", inputs=("i",), output="o", weight=normal(np.random.default_rng(), 1, 1, 1, 1)
    )
    with pytest.raises(ValueError, match="real is not a convolution of integers"):
        fold(node, [tensor((1, 1, 1), 0.1)], tensor((1, 1, 1), 0.1))
