import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.quantize.weights import round_weights

STEP = np.float32(0.02)
WEIGHTS = arrays(np.float32, (3, 2, 2), elements=st.floats(-100, 100, width=32))
BIAS = arrays(np.float32, 3, elements=st.floats(-100, 100, width=32))


def ordinary(weights, bias):
    """Channels whose bias is below 2^22 steps."""
    scale = np.abs(weights).max(axis=(1, 2)) / 127
    return (scale > 1e-30) & (np.abs(bias) < 2**22 * STEP * scale)


@given(weights=WEIGHTS, bias=BIAS)
def test_scales_are_the_largest_weight_over_127(weights, bias):
    done = round_weights(weights, bias, 0, STEP)
    usual = ordinary(weights, bias)
    expected = np.abs(weights).max(axis=(1, 2)) / np.float32(127)
    np.testing.assert_array_equal(done.scale[usual], expected[usual])
    assert (done.scale > 0).all() and np.isfinite(done.scale).all()


@given(weights=WEIGHTS, bias=BIAS)
def test_errors_are_at_most_half_a_step(weights, bias):
    done = round_weights(weights, bias, 0, STEP)
    scale = done.scale.astype(np.float64)
    error = np.abs(done.values * scale[:, None, None] - weights)
    assert (error <= scale[:, None, None] * 0.500001).all()
    grid = done.bias_scale.astype(np.float64)
    assert (np.abs(done.bias * grid - bias) <= grid * 0.500001).all()


@given(weights=WEIGHTS, bias=BIAS)
def test_biases_are_counted_exactly_in_both_forms(weights, bias):
    done = round_weights(weights, bias, 0, STEP)
    assert (np.abs(done.bias.astype(np.int64)) <= 2**23).all()
    np.testing.assert_array_equal(done.bias.astype(np.float32).astype(np.int32), done.bias)
    np.testing.assert_array_equal(done.bias_scale, (STEP * done.scale).astype(np.float32))


@pytest.mark.parametrize("bias", [None, np.zeros(3, np.float32), np.array([0.5, -3, 1e-6], np.float32)])
@pytest.mark.parametrize("step", [1e-37, 0.02, 1e6])
def test_channels_of_zeros_get_a_positive_scale(bias, step):
    done = round_weights(np.zeros((3, 4), np.float32), bias, 0, np.float32(step))
    assert (done.scale > 0).all() and (done.bias_scale > 0).all()
    assert not done.values.any()
    if bias is None:
        assert done.bias is None
    else:
        np.testing.assert_allclose(done.bias * done.bias_scale.astype(np.float64), bias, rtol=1e-5)


def test_a_bias_beyond_counting_widens_the_steps():
    done = round_weights(np.full((1, 2), 1e-9, np.float32), np.ones(1, np.float32), 0, STEP)
    assert done.scale[0] > 1e-9
    assert done.bias[0] * np.float64(done.bias_scale[0]) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_channels_lie_along_the_axis(axis):
    weights = np.array([[1, -2], [3, 4]], np.float32)
    done = round_weights(weights, None, axis, STEP)
    np.testing.assert_array_equal(done.scale, np.abs(weights).max(axis=1 - axis) / np.float32(127))
    assert np.abs(done.values).max() == 127
