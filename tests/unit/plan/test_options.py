import pytest

from tensordyno.errors import SpecError
from tensordyno.plan.options import check_options
from tensordyno.records.trial import EngineChoice
from tensordyno.spec.places import Places

PLACES = Places({("engines", 0): "a.yaml:3"})


def check(name, **options):
    check_options(EngineChoice(name=name, options=options), ("engines", 0), PLACES)


def test_options_an_engine_declares_are_fine():
    check("null", cost_s=0.01, depth=2, spin=True, fail_at="load")
    check("openvino", hint="latency")
    check("torch")


def test_an_unknown_option_offers_the_nearest():
    with pytest.raises(SpecError) as caught:
        check("null", cost=1)
    assert caught.value.line() == (
        "a.yaml:3: engines[0].options.cost: null has no option of that name. Did you mean cost_s?"
        " [unknown-option]"
    )


def test_an_unknown_option_far_from_all_lists_them():
    with pytest.raises(SpecError) as caught:
        check("openvino", zzzzzz=1)
    assert "Its options: " in caught.value.remedy and "hint" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"cost_s": "slow"}, "options.cost_s: found 'slow'; allowed: a number at least 0."),
        ({"cost_s": -1}, "options.cost_s: found -1; allowed: a number at least 0."),
        ({"spin": 1}, "options.spin: found 1; allowed: true or false."),
        ({"depth": 0}, "options.depth: found 0; allowed: a whole number at least 1."),
    ],
)
def test_a_bad_value_says_what_is_allowed(options, line):
    with pytest.raises(SpecError) as caught:
        check("null", **options)
    assert caught.value.line() == f"a.yaml:3: engines[0].{line} [bad-option]"


def test_a_choice_lists_its_members():
    with pytest.raises(SpecError) as caught:
        check("null", fail_at="never")
    listed = caught.value.sentence.split("allowed: ")[1].rstrip(".").split(", ")
    assert sorted(listed) == ["bind", "compile", "load", "receipt", "run"]
