"""The histogram depends on the values alone, to the last bit, and its memory on nothing."""

import io
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tensordyno.errors import DataError
from tensordyno.quantize.histogram import BINS, Histogram

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e3, 1e3, width=32)
batches = st.lists(arrays(np.float32, st.integers(0, 20), elements=floats | moderate), max_size=8)


def histogram(*parts):
    made = Histogram()
    for part in parts:
        made.add(part)
    return made


def assert_same(one, other):
    assert (one.width, one.low, one.high, one.total) == (other.width, other.low, other.high, other.total)
    np.testing.assert_array_equal(one.counts, other.counts)


def by_definition(values):
    """Counts and width in exact arithmetic, one value at a time."""
    largest = max(abs(float(v)) for v in values)
    width = 2.0**-1000
    while largest / width >= BINS:
        width *= 2
    counts = np.zeros(BINS, np.int64)
    for value in values:
        counts[math.floor(abs(float(value)) / width)] += 1
    return counts, width


@given(batches, st.randoms(use_true_random=False))
def test_order_and_batching_change_nothing(parts, random):
    everything = np.concatenate([np.empty(0, np.float32), *parts])
    shuffled = everything.copy()
    random.shuffle(shuffled)
    assert_same(histogram(*parts), histogram(everything))
    assert_same(histogram(*parts), histogram(*parts[::-1]))
    assert_same(histogram(*parts), histogram(*shuffled[:, np.newaxis]))


@given(batches, st.randoms(use_true_random=False))
def test_merging_in_any_order_is_adding(parts, random):
    whole = histogram(*parts)
    pieces = [histogram(part) for part in parts]
    random.shuffle(pieces)
    while len(pieces) > 1:
        one, other = pieces.pop(), pieces.pop()
        assert_same(one.merge(other), other.merge(one))
        pieces.insert(random.randrange(len(pieces) + 1), one.merge(other))
    assert_same(pieces[0] if pieces else Histogram(), whole)


@given(arrays(np.float32, st.integers(1, 20), elements=floats | moderate))
def test_it_is_what_its_definition_says(values):
    made = histogram(values)
    if made.largest > 0:
        counts, width = by_definition(values)
        assert made.width == width
        np.testing.assert_array_equal(made.counts, counts)
    assert made.low == values.min() and made.high == values.max()
    assert made.largest == np.abs(values).max()


@given(batches)
def test_no_value_is_lost_when_bins_are_merged(parts):
    made = Histogram()
    for part in parts:
        before = made.total
        made.add(part)
        assert made.total == before + part.size
        assert made.counts.shape == (BINS,) and made.counts.dtype == np.int64
        assert not made.counts[made.used :].any()


@given(batches)
def test_arrays_bring_it_back(parts):
    made = histogram(*parts)
    file = io.BytesIO()
    np.savez_compressed(file, **made.to_arrays())
    file.seek(0)
    with np.load(file) as stored:
        again = Histogram.from_arrays(stored)
    assert_same(again, made)
    again.add([7e4])
    made.add([7e4])
    assert_same(again, made)


def test_merging_leaves_both_as_they_are():
    one, other = histogram([1.0, 2.0]), histogram([300.0])
    kept = Histogram.from_arrays(one.to_arrays()), Histogram.from_arrays(other.to_arrays())
    one.merge(other).add([1e6])
    assert_same(one, kept[0])
    assert_same(other, kept[1])


def test_half_of_the_bins_or_more_are_in_use():
    for largest in (1.0, 1.9999, 2.0, 1e-45, 3.4e38):
        assert BINS // 2 < histogram([largest]).used <= BINS


def test_every_value_of_a_long_array_is_counted_in_its_bin():
    values = np.random.default_rng(0).standard_normal((7, 100_003)).astype(np.float32)
    made = histogram(values)
    expected = np.bincount((np.abs(values.astype(np.float64)) / made.width).astype(int).reshape(-1))
    np.testing.assert_array_equal(made.counts[: len(expected)], expected)
    assert_same(histogram(values.T), made)  # not contiguous
    assert_same(histogram(values.astype(np.float64)), made)


def test_memory_is_bounded_whatever_comes():
    values = np.linspace(-1, 1, 4_000_000, dtype=np.float32)
    made = Histogram()
    tracemalloc.start()
    for power in range(20):
        made.add(values[:: power + 1][:10] * 2.0**power)
    made.add(values)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4e6 < values.nbytes
    assert sum(array.nbytes for array in made.to_arrays().values()) == BINS * 8 + 16


def test_extremes_may_come_from_values_that_are_not_counted():
    sampled, covered = histogram([0.5, -3.0]), histogram([0.5])
    covered.cover(-3.0, 0.25)
    assert (covered.low, covered.high, covered.width) == (-3.0, 0.5, sampled.width)
    assert (covered.largest, covered.total) == (3.0, 1)
    assert_same(Histogram.from_arrays(covered.to_arrays()), covered)


def test_nothing_and_nothing_but_zeros():
    empty, zeros = Histogram(), histogram(np.zeros(5), -np.zeros(2))
    assert (empty.total, empty.largest) == (0, 0.0)
    assert (zeros.total, zeros.largest, zeros.low, zeros.high) == (7, 0.0, 0.0, 0.0)
    assert_same(zeros.merge(histogram([4.0])), histogram([4.0], np.zeros(7)))
    assert_same(empty.merge(zeros), zeros)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e39])
def test_values_without_a_range_are_refused_and_leave_no_trace(wrong):
    made = histogram([1.0, 2.0])
    with pytest.raises(DataError, match=r"values of conv1_out run") as refused:
        made.add([0.5, wrong, 9.0], "conv1_out")
    assert refused.value.slug == "bad-range"
    assert_same(made, histogram([1.0, 2.0]))
    with pytest.raises(DataError, match="The values run"):
        made.cover(-1.0, wrong if wrong != 1e39 else math.inf)


def stored(**changes):
    return histogram([1.0, 2.0]).to_arrays() | changes


@pytest.mark.parametrize(
    "arrays_",
    [
        stored(counts=np.ones(5, np.int64)),
        stored(counts=-np.ones(BINS, np.int64)),
        stored(counts=np.zeros(BINS)),
        stored(extremes=np.array([0.0])),
        stored(counts=np.ones(BINS, np.int64)),  # 3.9 lies outside
    ],
)
def test_other_arrays_are_no_histogram(arrays_):
    with pytest.raises(ValueError, match=r"histogram|extremes"):
        Histogram.from_arrays(arrays_)
    with pytest.raises(KeyError):
        Histogram.from_arrays({"counts": arrays_["counts"]})
