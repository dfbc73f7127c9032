import pytest

from tensordyno.errors import SpecError
from tensordyno.spec.places import Places
from tensordyno.spec.shorthand import spell_out

EMPTY = {"options": {}, "python": None}


def spell(raw):
    return spell_out(raw, Places({(): "a.yaml"}))


def test_words_are_split_at_commas():
    assert spell({"precisions": "fp32, bf16"}) == {"precisions": ["fp32", "bf16"]}
    assert spell({"telemetry": {"sources": "cpu,memory"}}) == {"telemetry": {"sources": ["cpu", "memory"]}}


@pytest.mark.parametrize("models", ["a,b", ["a", "b"], ["a", {"name": "b"}]])
def test_models_become_mappings(models):
    assert spell({"models": models}) == {"models": [{"name": "a"}, {"name": "b"}]}


def test_a_single_mapping_is_a_list_of_one():
    assert spell({"models": {"name": "a"}}) == {"models": [{"name": "a"}]}


def test_engines_become_mappings_with_their_options():
    spelled = spell({"engines": "torch,openvino:hint=latency,streams=1"})
    assert spelled["engines"] == [
        {"name": "torch", **EMPTY},
        {"name": "openvino", "options": {"hint": "latency", "streams": 1}, "python": None},
    ]


@pytest.mark.parametrize("engines", [None, [None], "null", [{"name": None, "options": {}, "python": None}]])
def test_a_bare_null_is_the_null_engine(engines):
    assert spell({"engines": engines})["engines"] == [{"name": "null", **EMPTY}]


@pytest.mark.parametrize(
    ("written", "sizes"), [(8, [8]), ("1:4:x2", [1, 2, 4]), ([1, "4:8:x2"], [1, 4, 8]), (0, [0])]
)
def test_batch_sizes_become_numbers(written, sizes):
    assert spell({"batch_sizes": written}) == {"batch_sizes": sizes}


@pytest.mark.parametrize(
    ("written", "counts"),
    [("1,2,4", [1, 2, 4]), (2, [2]), ("2", [2]), ([1, "2"], [1, 2]), ("x", ["x"]), (None, [None])],
)
def test_gpus_become_numbers(written, counts):
    assert spell({"gpus": written}) == {"gpus": counts}
    assert spell({"blocks": [{"gpus": written}]}) == {"blocks": [{"gpus": counts}]}


def test_cuda_without_a_number_is_the_first():
    assert spell({"devices": "cuda, cuda:1,cpu"}) == {"devices": ["cuda:0", "cuda:1", "cpu"]}
    assert spell({"devices": ["cuda"]}) == {"devices": ["cuda:0"]}


def test_blocks_are_spelled_out_too():
    assert spell({"blocks": [{"batch_sizes": "1,2"}, 3]}) == {"blocks": [{"batch_sizes": [1, 2]}, 3]}


def test_a_bad_range_names_its_place():
    with pytest.raises(
        SpecError, match=r"a\.yaml: blocks\[0\]\.batch_sizes\[1\]: '8:1' runs backwards"
    ) as caught:
        spell({"blocks": [{"batch_sizes": [1, "8:1"]}]})
    assert caught.value.slug == "bad-range"


def test_what_it_does_not_know_it_leaves_to_the_check():
    odd = {"models": 3, "precisions": 5, "engines": 7, "blocks": "x", "telemetry": 9, "name": "a,b"}
    assert spell(odd) == odd


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ({"images": "50x25, 10x25"}, {"images": ["50x25", "10x25"]}),
        ({"methods": "entropy,percentile:99.9"}, {"methods": ["entropy", "percentile:99.9"]}),
        ({"seeds": "0,1,2"}, {"seeds": [0, 1, 2]}),
        ({"seeds": 3}, {"seeds": [3]}),
        ({"seeds": ["1", "x"]}, {"seeds": [1, "x"]}),
        ({"images": 1250}, {"images": [1250]}),
        ({"keep_fp32": "3"}, {"keep_fp32": 3}),
        ({"keep_fp32": "auto"}, {"keep_fp32": "auto"}),
        ("fast", "fast"),
    ],
)
def test_calibrations_become_lists(written, spelled):
    assert spell({"calibration": written}) == {"calibration": spelled}
    assert spell({"blocks": [{"calibration": written}]}) == {"blocks": [{"calibration": spelled}]}


def test_preprocessing_becomes_a_mapping_for_all_and_for_one_network():
    spelled = {"resize": 256, "mean": [0.5]}
    assert spell({"preprocessing": "resize=256,mean=0.5"}) == {"preprocessing": spelled}
    written = {"models": [{"name": "a", "preprocessing": {"resize": 256, "mean": 0.5}}, "b"]}
    assert spell(written) == {"models": [{"name": "a", "preprocessing": spelled}, {"name": "b"}]}
    assert written["models"][0]["preprocessing"] == {"resize": 256, "mean": 0.5}  # left as it was


@pytest.mark.parametrize("nothing", [{}, None])
def test_an_empty_preprocessing_asks_for_nothing(nothing):
    assert spell({"preprocessing": nothing}) == {"preprocessing": None}


def test_bad_preprocessing_names_its_place():
    with pytest.raises(SpecError, match=r"a\.yaml: models\[1\]\.preprocessing: 'bgr' is not") as caught:
        spell({"models": ["a", {"name": "b", "preprocessing": "bgr"}]})
    assert caught.value.slug == "bad-preprocessing" and "channels=bgr" in caught.value.remedy
