"""The answer where nothing was timed."""

import pytest
from made_int8_run import make_accuracy_run
from msgspec.structs import replace

from tensordyno.analysis.accuracy import accuracy_rows
from tensordyno.analysis.scores import scores as scores_of
from tensordyno.report.right_answers import accuracy_answers, accuracy_headline
from tensordyno.store.reader import read_run
from tensordyno.vocabulary import Verdict


@pytest.fixture(scope="module")
def fp32(tmp_path_factory):
    run = read_run(make_accuracy_run(tmp_path_factory.mktemp("fp32") / "run", precisions=("fp32",)))
    return run, scores_of(run)


def answers(case):
    run, scores = case[:2]
    return accuracy_answers(accuracy_rows(run, scores), scores)


def headline(case, scores=None):
    run = case[0]
    scores = scores or case[1]
    return accuracy_headline(accuracy_rows(run, scores), scores)


def of_model(case, model):
    return case[0], [s for s in case[1] if s.model == model]


def test_the_headline_says_what_int8_costs(untimed):
    assert headline(untimed) == (
        "INT8 changes top-1 by −0.20 to −0.15 points on 2 networks, at worst on lenet5_fashion: 90.30 % "
        "instead of 90.50 % on onnxruntime int8."
    )


def test_of_one_network_it_names_the_build_and_its_interval(untimed):
    one = of_model(untimed, "resnet8_fashion")
    assert headline(one) == (
        "INT8 costs 0.15 points of top-1 on resnet8_fashion: 92.60 % instead of 92.75 % on onnxruntime int8 "
        "(95 % interval of the difference −0.50 to +0.20 points)."
    )


@pytest.mark.parametrize(
    ("change", "words"), [(0.0, "costs no top-1"), (0.001, "gains 0.10 points of top-1")]
)
def test_nothing_lost_and_something_gained(untimed, change, words):
    run, scores = of_model(untimed, "resnet8_fashion")
    rows = [
        replace(r, paired=replace(r.paired, difference=replace(r.paired.difference, value=change)))
        for r in accuracy_rows(run, scores)
    ]
    assert accuracy_headline(rows, scores).startswith(f"INT8 {words} on resnet8_fashion: ")


def test_of_many_calibrations_it_gives_the_range_and_not_the_luckiest(study):
    assert (
        headline(study)
        == "INT8 changes top-1 by −1.30 to −0.15 points on resnet8_fashion, by 96 calibrations."
    )


def test_fp32_alone_is_told_as_it_is(fp32):
    assert headline(fp32) == (
        "resnet8_fashion gives 92.75 % of 2,000 images their right class on onnxruntime fp32."
    )
    assert [b.heading for b in answers(fp32)[0].bests] == ["Right answers in FP32"]


def test_nothing_valid_is_not_told(untimed):
    none = [replace(s, verdict=Verdict.CRASHED) for s in untimed[1]]
    assert headline(untimed, none) == "" and accuracy_answers((), none) == ()


def test_a_network_has_fp32_first_and_engines_that_agree_share_a_card(untimed):
    first, second = answers(untimed)
    assert (first.name, second.name) == ("lenet5_fashion", "resnet8_fashion")
    assert first.facts == "4 valid trials, 61.7 k parameters, 417 kMACs an image"
    exact, int8 = first.bests
    assert (exact.value, exact.unit, exact.who) == ("90.50", "% top-1", "onnxruntime fp32")
    assert "the same on every engine" in exact.notes and "2,000 images of fashion" in exact.notes
    assert (int8.heading, int8.value, int8.doubt) == ("INT8 against FP32", "−0.20", "−0.57 to +0.17")
    assert "the same on openvino(hint=throughput)" in int8.notes
    assert "these images cannot tell it from FP32" in int8.notes
    assert "calibrated by entropy on 1,250 images" in int8.notes


def test_engines_that_differ_have_cards_of_their_own(untimed):
    run, scores = of_model(untimed, "resnet8_fashion")
    first, second = accuracy_rows(run, scores)
    worse = replace(second.paired, difference=replace(second.paired.difference, value=-0.02, high=-0.01))
    found = accuracy_answers([first, replace(second, paired=worse)], scores)[0].bests
    assert [b.value for b in found] == ["92.75", "−0.15", "−2.00"]
    assert "these images cannot tell it from FP32" not in found[-1].notes


def test_the_best_of_many_is_called_that(study):
    (network,) = answers(study)
    assert (
        "the best of 96 calibrations on these very images; the worst: −1.30 points" in network.bests[1].notes
    )


def test_without_fp32_there_is_no_difference(untimed):
    run, scores = of_model(untimed, "resnet8_fashion")
    row = replace(accuracy_rows(run, scores)[0], paired=None, fp32=None, fp32_top1=None, fp32_top5=None)
    only = [s for s in scores if s.precision == "int8"]
    (best,) = accuracy_answers([row], only)[0].bests
    assert (best.value, best.unit) == ("92.60", "% top-1")
    assert best.notes == ("no FP32 build of this run saw the same images: no difference",)


def test_timed_trials_are_not_told_here(int8):
    assert answers(int8) == ()
