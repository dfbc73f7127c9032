import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import DataError
from tensordyno.quantize.disjoint import check_disjoint


def overlap(calibration, test, names=("photos", "photos")):
    with pytest.raises(DataError) as refused:
        check_disjoint(calibration, test, *names)
    assert refused.value.slug == "calibration-overlaps"
    return refused.value.line()


def test_one_shared_image_is_refused_with_what_to_type():
    line = overlap("abc", "cde")
    assert line.startswith("1 calibration image is among the test images")
    assert "--calibration-data" in line


def test_two_names_are_both_told():
    assert "3 calibration images are among the test images (val): train" in overlap(
        "aabz", "abc", ("train", "val")
    )


@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_refused_exactly_when_an_image_is_in_both(calibration, test):
    sides = [[str(number) for number in side] for side in (calibration, test)]
    if calibration & test:
        assert overlap(*sides).startswith(f"{len(calibration & test)} calibration image")
    else:
        check_disjoint(*sides, "a", "b")
