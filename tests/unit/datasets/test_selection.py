import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.datasets.base import DataRequest
from tensordyno.datasets.selection import HELD_OUT, select
from tensordyno.errors import DataError

COUNTS = st.integers(2, 300)
SEEDS = st.integers(0, 2**31 - 1)


def chosen(count, *, has_both=False, looks=None, **request):
    asked = DataRequest(name="photos", **request)
    return select(count, asked, has_both=has_both, looks=lambda: looks or list(range(count))).tolist()


def test_without_wishes_all_come_as_stored():
    assert chosen(7) == chosen(7, split="calibration") == list(range(7))


@given(COUNTS, SEEDS, SEEDS)
def test_the_two_parts_are_each_others_rest_in_any_order(count, one, other):
    test = chosen(count, hold_out=True, shuffle=one)
    calibration = chosen(count, hold_out=True, shuffle=other, split="calibration")
    assert sorted(test + calibration) == list(range(count))
    assert len(calibration) == max(1, count // HELD_OUT)


@given(COUNTS, SEEDS)
def test_an_order_is_a_permutation_that_its_seed_decides(count, seed):
    first = chosen(count, shuffle=seed)
    assert sorted(first) == list(range(count))
    assert first == chosen(count, shuffle=seed)
    assert first != chosen(count, shuffle=seed + 1) or count < 6 or seed == 0


def test_unshuffled_parts_keep_the_stored_order():
    for split in ("test", "calibration"):
        part = chosen(100, hold_out=True, split=split)
        assert part == sorted(part)


def test_a_dataset_with_both_splits_gives_up_nothing():
    assert chosen(9, hold_out=True, has_both=True) == list(range(9))
    assert chosen(9, hold_out=True, has_both=True, split="calibration") == list(range(9))


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_the_held_out_part_follows_no_interleaving_of_classes(classes):
    labels = np.arange(1000) % classes  # one of each class in turn, as folders are read
    found = np.bincount(labels[chosen(1000, hold_out=True, split="calibration")], minlength=classes)
    expected = 200 / classes
    # hypergeometric: five standard deviations around the expectation
    assert (abs(found - expected) < 5 * np.sqrt(expected * (1 - 1 / classes) * 0.8)).all()


@pytest.mark.parametrize("split", ["test", "calibration"])
def test_a_single_image_cannot_be_divided(split):
    with pytest.raises(DataError, match="photos holds no two different images") as caught:
        chosen(1, hold_out=True, split=split)
    assert caught.value.slug == "too-few-to-hold-out"
    assert "--calibration-data" in caught.value.remedy


@given(st.lists(st.integers(0, 30), min_size=2, max_size=80).filter(lambda looks: len(set(looks)) > 1))
def test_equal_images_go_the_same_way(looks):
    test = chosen(len(looks), looks=looks, hold_out=True)
    calibration = chosen(len(looks), looks=looks, hold_out=True, split="calibration")
    assert sorted(test + calibration) == list(range(len(looks)))
    assert test and calibration and not {looks[i] for i in test} & {looks[i] for i in calibration}


def test_copies_of_one_image_cannot_be_divided():
    with pytest.raises(DataError, match="no two different"):
        chosen(7, looks=["same"] * 7, hold_out=True)


def test_looks_are_not_asked_for_in_vain():
    def never():
        raise AssertionError

    for request in ({}, {"shuffle": 3}, {"split": "calibration"}):
        assert len(select(5, DataRequest(name="x", **request), has_both=False, looks=never)) == 5
    assert len(select(5, DataRequest(name="x", hold_out=True), has_both=True, looks=never)) == 5
