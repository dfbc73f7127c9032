import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.spec.preprocessing_text import numbers, parse_preprocessing, preprocessing_text


def test_all_settings_in_one_text():
    text = "resize=256, mean=0.485:0.456:0.406,std=0.5,channels=bgr,layout=nhwc"
    assert parse_preprocessing(text) == {
        "resize": 256,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.5],
        "channels": "bgr",
        "layout": "nhwc",
    }
    assert parse_preprocessing("resize=none") == parse_preprocessing("resize=NULL") == {"resize": None}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not key=value"),
        ("bgr", "'bgr' is not key=value"),
        ("resize=", "'resize=' is not key=value"),
        ("=3", "'=3' is not key=value"),
        ("resize=1,,mean=1", "'' is not key=value"),
        ("mean=0.5,0.5,0.5", "'0.5' is not key=value"),
        ("resize=1,resize=2", "'resize' is given twice"),
    ],
)
def test_what_is_no_list_of_settings_is_said(text, says):
    with pytest.raises(ValueError, match=says):
        parse_preprocessing(text)


def test_what_is_no_number_is_left_to_the_rule():
    assert parse_preprocessing("mean=a:0.5,resize=-3") == {"mean": ["a", 0.5], "resize": "-3"}


def test_means_of_a_file_may_be_a_number_a_text_or_a_list():
    assert (numbers(0.5), numbers("0.5:1"), numbers([0.1])) == ([0.5], [0.5, 1.0], [0.1])
    assert (numbers(True), numbers(None)) == (True, None)


_LISTS = st.lists(st.floats(0, 1), min_size=1, max_size=3)
_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "resize": st.none() | st.integers(1, 9999),
        "mean": _LISTS,
        "std": _LISTS,
        "channels": st.sampled_from(["rgb", "bgr", "grey"]),
        "layout": st.sampled_from(["nchw", "nhwc"]),
    },
).filter(bool)


@given(_SETTINGS)
def test_what_is_written_reads_back_equal(settings):
    assert parse_preprocessing(preprocessing_text(settings)) == settings
