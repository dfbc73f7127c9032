import pytest

from tensordyno.errors import SpecError
from tensordyno.spec.overrides import apply_sets
from tensordyno.spec.places import Places


def changed(raw, *sets):
    places = Places()
    apply_sets(raw, sets, places)
    return raw, places


def test_keys_are_replaced_and_made():
    raw, places = changed({"seed": 1}, "seed=2", "measure.min_seconds=5", "precisions=fp32,bf16")
    assert raw == {"seed": 2, "measure": {"min_seconds": 5}, "precisions": "fp32,bf16"}
    assert places.where(("measure", "min_seconds")) == "--set measure.min_seconds=5"


def test_numbers_lead_into_lists():
    raw = {"blocks": [{"batch_sizes": 1}, {"engines": ["torch"]}]}
    raw, places = changed(raw, "blocks.0.batch_sizes=1:8:x2", "blocks.1.engines.0=openvino")
    assert raw == {"blocks": [{"batch_sizes": "1:8:x2"}, {"engines": ["openvino"]}]}
    assert places.where(("blocks", 0, "batch_sizes")) == "--set blocks.0.batch_sizes=1:8:x2"


def test_a_later_set_wins():
    assert changed({}, "seed=1", "seed=2")[0] == {"seed": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed", "not key=value"),
        ("=1", "not key=value"),
        ("a..b=1", "not key=value"),
        ("seed=[1", "not YAML"),
        ("blocks.2.seed=1", r"no blocks\[2\]"),
        ("blocks.2=1", r"no blocks\[2\]"),
        ("seed.low=1", "no seed.low"),
        ("name.0=x", r"no name\[0\]"),
    ],
)
def test_a_bad_set_is_named(text, says):
    with pytest.raises(SpecError, match=says) as caught:
        changed({"blocks": [{}], "seed": 1, "name": "n"}, text)
    assert caught.value.slug == "bad-set"
    assert caught.value.sentence.startswith(f"--set {text}")


def test_a_set_that_every_block_hides_is_refused_with_what_to_type():
    raw = {"blocks": [{"measure": {"min_seconds": 1}}, {"measure": {"min_seconds": 2}}]}
    with pytest.raises(SpecError) as caught:
        changed(raw, "measure.min_seconds=5")
    assert caught.value.slug == "set-without-effect"
    assert "--set blocks.1.measure.min_seconds=" in caught.value.remedy
    assert changed(raw, "measure.max_seconds=5")[0]["measure"] == {"max_seconds": 5}
