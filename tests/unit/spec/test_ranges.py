import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.spec.ranges import parse_batches


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("8", (8,)),
        ("1,8,32", (1, 8, 32)),
        ("1:32:x2", (1, 2, 4, 8, 16, 32)),
        ("1:4096:x4", (1, 4, 16, 64, 256, 1024, 4096)),
        ("1:9:2", (1, 3, 5, 7, 9)),
        ("1:8:3", (1, 4, 7)),
        ("2:4", (2, 3, 4)),
        ("32, 1:4:x2, 2", (32, 1, 2, 4)),
    ],
)
def test_a_text_means_these_sizes(text, sizes):
    assert parse_batches(text) == sizes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "batch of 0"),
        ("0:8:x2", "batch of 0"),
        ("8:1", "backwards"),
        ("1:8:x1", "never ends"),
        ("1:8:x0", "never ends"),
        ("1:8:0", "never ends"),
        ("1:100000", "more than 1000"),
        ("1:8:2:2", "no range"),
        ("-1", "no batch size"),
        ("1,,2", "no batch size"),
        ("many", "no batch size"),
        ("", "no batch size"),
    ],
)
def test_a_bad_text_says_what_is_wrong(text, says):
    with pytest.raises(ValueError, match=says):
        parse_batches(text)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 50))
def test_steps_are_those_of_range(first, more, step):
    assert parse_batches(f"{first}:{first + more}:{step}") == tuple(range(first, first + more + 1, step))
