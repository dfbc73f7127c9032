import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.spec.calibration_text import parse_images


@pytest.mark.parametrize(
    ("text", "meant"), [("50x25", (50, 25)), (" 1 X 1000 ", (1, 1000)), ("10×5", (10, 5)), ("1x1", (1, 1))]
)
def test_a_text_means_batches_of_images(text, meant):
    assert parse_images(text) == meant


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_every_pair_is_read_back(batches, size):
    assert parse_images(f"{batches}x{size}") == (batches, size)


@pytest.mark.parametrize(
    "text", ["", "50", "x", "50x", "x25", "0x25", "50x0", "-1x3", "5x5x5", "50 25", "٣x٣"]
)
def test_another_form_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="for example 50x25"):
        parse_images(text)


def test_more_images_than_anybody_has_are_refused():
    with pytest.raises(ValueError, match="more than 10000000"):
        parse_images("10000x1001")
