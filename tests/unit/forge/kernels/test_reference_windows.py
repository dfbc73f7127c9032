import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tensordyno.forge.kernels.reference_windows import (
    columns,
    extent,
    output_size,
    pad_images,
    taps,
    window_count,
)

SMALL = st.integers(1, 4)


@given(st.integers(1, 12), SMALL, SMALL, st.integers(0, 3), st.integers(0, 3))
def test_windows_are_those_that_can_be_laid(size, kernel, stride, before, after):
    before, after = min(before, kernel - 1), min(after, kernel - 1)
    padded = size + before + after
    assume(padded >= kernel)
    starts = range(0, padded, stride)
    whole = [start for start in starts if start + kernel <= padded]
    assert window_count(size, kernel, stride, (before, after)) == len(whole)
    hanging = whole[-1] + stride
    unseen = whole[-1] + kernel < padded
    more = unseen and hanging < size + before
    assert window_count(size, kernel, stride, (before, after), ceil=True) == len(whole) + more


def test_the_rules_of_the_ceiling():
    assert window_count(6, 3, 2, (0, 0)) == 2
    assert window_count(6, 3, 2, (0, 0), ceil=True) == 3
    assert window_count(7, 3, 2, (0, 0), ceil=True) == 3  # they fit
    assert window_count(2, 1, 2, (0, 1), ceil=True) == 1  # the second would start in the padding


def test_padding_goes_where_it_is_said():
    padded = pad_images(np.ones((1, 2, 3), np.int8), (1, 2, 3, 4), -5)
    assert padded.shape == (1, 6, 9)
    assert padded.dtype == np.int8
    assert (padded[:, 1:3, 2:5] == 1).all()
    assert padded.sum() == 6 - 5 * (6 * 9 - 6)


@given(kernel=st.tuples(SMALL, SMALL), stride=st.tuples(SMALL, SMALL), dilation=st.tuples(SMALL, SMALL))
def test_columns_hold_what_each_window_sees(kernel, stride, dilation):
    image = np.arange(2 * 17 * 15).reshape(2, 17, 15)
    found = columns(image, kernel, stride, dilation)
    rows, across = output_size(image, extent(kernel, dilation), stride, (0, 0, 0, 0))
    assert found.shape == (2, *kernel, rows * across)
    for window in (0, rows * across // 2, rows * across - 1):
        top, left = window // across * stride[0], window % across * stride[1]
        seen = image[:, top:, left:][:, :: dilation[0], :: dilation[1]][:, : kernel[0], : kernel[1]]
        np.testing.assert_array_equal(found[..., window], seen)


@given(kernel=st.tuples(SMALL, SMALL), stride=st.tuples(SMALL, SMALL))
def test_taps_are_the_same_windows(kernel, stride):
    image = np.arange(2 * 9 * 8).reshape(2, 9, 8)
    size = output_size(image, kernel, stride, (0, 0, 0, 0))
    found = np.stack(
        [tap.reshape(2, -1) for tap in taps(image, kernel, stride, (0, 0, 0, 0), size, 0)], axis=1
    )
    expected = columns(image, kernel, stride, (1, 1))
    np.testing.assert_array_equal(found, expected.reshape(2, kernel[0] * kernel[1], -1))
