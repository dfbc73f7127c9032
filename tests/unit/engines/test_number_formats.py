import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.engines.number_formats import rounded
from tensordyno.vocabulary import Precision

NORMAL = st.floats(-60000, 60000, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)
VALUES = arrays(np.float32, st.integers(1, 20), elements=NORMAL)


@pytest.mark.parametrize("precision", Precision)
@given(values=VALUES)
def test_rounding_twice_changes_nothing_more(precision, values):
    once = rounded(values, precision)
    assert once.dtype == np.float32 and once.shape == values.shape
    np.testing.assert_allclose(rounded(once, precision), once, rtol=1e-6)


@given(values=VALUES)
def test_bf16_is_pytorch_s(values):
    torch = pytest.importorskip("torch")
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(rounded(values, Precision.BF16), expected)


@given(values=VALUES)
def test_fp16_is_numpy_s(values):
    np.testing.assert_array_equal(rounded(values, Precision.FP16), values.astype(np.float16))


@given(values=VALUES)
def test_fp8_keeps_the_fraction_of_e4m3(values):
    torch = pytest.importorskip("torch")
    inside = np.clip(values, -240, 240)
    inside[np.abs(inside) < 2**-6] = 0  # E4M3's subnormal range is left out of the model
    expected = torch.from_numpy(inside).to(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(rounded(inside, Precision.FP8), expected)


@pytest.mark.parametrize(
    ("precision", "bits"), [(Precision.TF32, 10), (Precision.BF16, 7), (Precision.FP8, 3)]
)
def test_the_smallest_step_above_one(precision, bits):
    step = np.float32(2.0**-bits)
    values = np.array([1 + step, 1 + step / 2, 1 + step * 0.75], np.float32)
    np.testing.assert_array_equal(rounded(values, precision), [1 + step, 1, 1 + step])


def test_fp32_is_a_copy():
    values = np.ones(3, np.float32)
    same = rounded(values, Precision.FP32)
    same[0] = 2
    assert values[0] == 1


def test_int8_has_127_steps_to_the_largest():
    values = np.array([127.0, 0.4, 0.6, -126.6], np.float32)
    np.testing.assert_array_equal(rounded(values, Precision.INT8), [127, 0, 1, -127])


def test_int8_of_zeros_is_zeros():
    assert not rounded(np.zeros(4, np.float32), Precision.INT8).any()
