import numpy as np
import pytest

from tensordyno.quantize.base import Placement
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.ranges import merged, ranges_of, zero_tensors
from tensordyno.records.calibration import TensorRange


def histogram(*values):
    made = Histogram()
    made.add(np.array(values, np.float32))
    return made


def placement(*groups, repeats=()):
    return Placement(layers=("conv",), groups=groups, repeats=frozenset(repeats), kept={}, other_fp32={})


def largest(found):
    return found.largest


def test_a_group_shares_the_threshold_of_all_its_values():
    seen = {"a": histogram(-1, 0.5), "b": histogram(0, 4), "c": histogram(2)}
    ranges = ranges_of(placement(("a", "b"), ("c",)), seen, largest)
    assert ranges == {
        "a": TensorRange(threshold=4, low=-1, high=0.5),
        "b": TensorRange(threshold=4, low=0, high=4),
        "c": TensorRange(threshold=2, low=2, high=2),
    }


def test_the_method_sees_the_values_of_the_whole_group():
    seen = {"a": histogram(1, 1, 1), "b": histogram(2)}
    assert ranges_of(placement(("a", "b")), seen, lambda found: found.total)["b"].threshold == 4


def test_a_value_that_two_tensors_hold_is_counted_once():
    seen = {"a": histogram(1, 1, 1), "pooled": histogram(1), "joined": histogram(2, 3)}
    asked = placement(("a", "pooled", "joined"), repeats=("a", "pooled"))
    found = ranges_of(asked, seen, lambda found: found.total)
    assert {name: r.threshold for name, r in found.items()} == {"a": 2, "pooled": 2, "joined": 2}
    assert found["a"].high == 1  # its own extremes stay in the table


def test_only_what_the_placement_needs_gets_a_range():
    assert set(ranges_of(placement(("b",)), {"a": histogram(1), "b": histogram(2)}, largest)) == {"b"}


@pytest.mark.parametrize("value", [0.0, 1e-40])
def test_zeros_get_a_range_that_engines_can_use(value):
    """No method is asked: it could only answer 0, or a number whose step is none."""

    def refuse(found):
        raise AssertionError

    found = ranges_of(placement(("a",)), {"a": histogram(0, value)}, refuse)
    assert found["a"].threshold == 1.0
    assert zero_tensors("ab", {"a": histogram(value), "b": histogram(0, -1e-3)}) == ("a",)


def test_a_zero_tensor_beside_another_takes_its_range():
    found = ranges_of(placement(("a", "b")), {"a": histogram(0), "b": histogram(3)}, largest)
    assert found["a"] == TensorRange(threshold=3, low=0, high=0)


def test_merging_parts_is_seeing_all_at_once():
    both = merged({"a": histogram(1, -2)}, {"a": histogram(7)})["a"]
    assert (both.low, both.high, both.total) == (-2, 7, 3)
    assert np.array_equal(both.counts, histogram(1, -2, 7).counts)
    alone = merged({"a": histogram(1, -2)}, {"a": Histogram()})["a"]
    assert (alone.low, alone.high, alone.total) == (-2, 1, 2)
