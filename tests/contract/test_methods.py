"""Every calibration method keeps the contract of quantize/methods/base.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.errors import UnknownName, UsageError
from tensordyno.quantize.grid import quantize_dequantize
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods.base import AUTO, METHODS, method

ALL = METHODS.names()
NUMBERED = tuple(name for name in ALL if METHODS.literal(name, "PARAMETER") is not None)


def histogram(values):
    made = Histogram()
    made.add(values)
    return made


def test_the_members():
    assert set(ALL) == {"minmax", "percentile", "mse", "entropy"}
    assert AUTO not in ALL


@pytest.mark.parametrize("name", ALL)
def test_a_method_says_what_it_is_without_being_imported(name):
    summary = METHODS.literal(name, "SUMMARY")
    assert isinstance(summary, str) and 10 < len(summary) < 90


nonzero = st.floats(2.0**-60, 2.0**60, width=32)
anything = arrays(np.float32, st.integers(1, 40), elements=nonzero | nonzero.map(lambda x: -x) | st.just(0.0))


@pytest.mark.parametrize("name", ALL)
@given(values=anything)
def test_the_threshold_lies_above_zero_and_within_the_largest(name, values):
    made = histogram(np.append(values, np.float32(0.25)))
    assert 0 < method(name)(made) <= made.largest


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("power", [-40, -3, 1, 20])
def test_scaling_by_a_power_of_two_scales_the_threshold_exactly(name, power):
    values = np.random.default_rng(0).laplace(size=20_000).astype(np.float32)
    once = method(name)(histogram(values))
    assert method(name)(histogram(values * np.float32(2.0**power))) == once * 2.0**power


@pytest.mark.parametrize("name", ALL)
def test_the_sign_of_values_does_not_matter(name):
    values = np.random.default_rng(0).gamma(2, size=20_000)
    assert method(name)(histogram(-values)) == method(name)(histogram(values))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [1.0, -3.7, 1e-30, 6.5e4])
@pytest.mark.parametrize("count", [1, 1000])
def test_a_single_value_is_its_own_range(name, value, count):
    made = histogram(np.full(count, value))
    assert method(name)(made) == made.largest
    assert quantize_dequantize(value, made.largest) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_uniform_values_are_hardly_clipped(name):
    made = histogram(np.random.default_rng(0).uniform(-2, 2, 100_000))
    assert 0.99 * made.largest <= method(name)(made) <= made.largest


def sqnr_db(values, threshold):
    noise = np.square(quantize_dequantize(values, threshold) - values).sum()
    return 10 * np.log10(np.square(values).sum() / noise)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("zeros", [0, 100_000, 1_000_000])
def test_a_relu_output_keeps_its_values_however_many_zeros_it_has(name, zeros):
    values = np.abs(np.random.default_rng(1).standard_normal(100_000)).astype(np.float32)
    threshold = method(name)(histogram(np.append(values, np.zeros(zeros))))
    assert threshold > 3
    assert sqnr_db(values, threshold) > 37


@pytest.mark.parametrize("name", sorted(set(ALL) - {"minmax"}))
def test_a_heavy_outlier_is_clipped(name):
    values = np.random.default_rng(2).standard_normal(200_000).astype(np.float32)
    made = histogram(np.append(values, 40.0))
    threshold = method(name)(made)
    assert 3 < threshold < 35
    assert sqnr_db(values, threshold) > sqnr_db(values, made.largest) + 1


@pytest.mark.parametrize("name", ALL)
def test_a_method_reads_and_does_not_write(name):
    made = histogram(np.random.default_rng(3).standard_normal(1000))
    before = made.counts.copy()
    assert method(name)(made) == method(name)(made)
    np.testing.assert_array_equal(made.counts, before)


@pytest.mark.parametrize("name", ALL)
def test_extremes_beyond_the_sample_are_a_range_too(name):
    made = histogram(np.zeros(10))
    made.cover(-5.0, 1.0)
    assert method(name)(made) == 5.0


@pytest.mark.parametrize("name", sorted(set(ALL) - set(NUMBERED)))
def test_a_method_without_a_number_takes_none(name):
    with pytest.raises(UsageError, match="takes no number") as refused:
        method(f"{name}:3")
    assert refused.value.slug == "bad-method"


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("number", ["", "many", "nan", "-1", "1e9"])
def test_a_wrong_number_is_refused(name, number):
    with pytest.raises(UsageError) as refused:
        method(f"{name}:{number}")(histogram([1.0]))
    assert refused.value.slug == "bad-method" and name in refused.value.line()


@pytest.mark.parametrize("name", NUMBERED)
def test_the_default_number_may_be_written_out(name):
    made = histogram(np.random.default_rng(4).standard_normal(5000))
    assert method(name)(made) == method(f"{name}:{METHODS.literal(name, 'PARAMETER')}")(made)


def test_a_slip_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match="no calibration method") as refused:
        method("entropie")
    assert "entropy" in refused.value.line()
