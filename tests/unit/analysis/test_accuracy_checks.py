"""Warnings about right answers and calibrations: when they are due, and what they say."""

import pytest

from tensordyno.analysis import accuracy_checks
from tensordyno.analysis.checks import CHECKS, warnings
from tensordyno.analysis.scores import scores
from tensordyno.records.calibration import LayerFacts
from tensordyno.vocabulary import Task, Verdict, WeightsKind

from .builders import answers, calibrated, changed, counted, outcome, run, trial

EXACT, BROKEN = answers(2000, range(100)), answers(2000, range(160))


def found(root, *pairs):
    """Warnings of this module by slug, of a run of (outcome, answers)."""
    stored = run(root, [o for o, _ in pairs], answers={o.trial.id: t for o, t in pairs if t is not None})
    rows = scores(stored)
    own = [check for check in CHECKS if check.__module__ == accuracy_checks.__name__]
    assert {w.slug for check in own for w in check(stored, rows)} <= {w.slug for w in warnings(stored, rows)}
    return {w.slug: w for check in own for w in check(stored, rows)}


def int8(name="int8", answered=EXACT, facts=None, precision="int8", **fields):
    facts = {"calibration": calibrated()} | (facts or {})
    return counted(name, answered, precision, facts, **fields), answered


FP32 = counted("fp32", EXACT, "fp32"), EXACT


def test_int8_that_answers_as_well_has_no_warning(tmp_path):
    assert found(tmp_path, FP32, int8()) == {}


def test_int8_that_lost_its_answers_is_named_with_its_loss(tmp_path):
    slightly = int8("slightly", answers(2000, range(105)))
    warned = found(tmp_path, FP32, int8(answered=BROKEN), slightly)
    assert list(warned) == ["int8-drop"]
    assert warned["int8-drop"].trials == ("int8",)
    assert "int8 loses most, top-1 -3.00 points (-3.7" in warned["int8-drop"].sentence


def test_other_formats_lose_answers_under_a_name_of_their_own(tmp_path):
    half = counted("half", BROKEN, "bf16"), BROKEN
    warned = found(tmp_path, FP32, half)
    assert list(warned) == ["accuracy-drop"] and warned["accuracy-drop"].trials == ("half",)


@pytest.mark.parametrize("task", Task)
def test_int8_without_labels_or_reference_is_unproved(tmp_path, task):
    unlabelled, _ = int8(task=task)
    warned = found(tmp_path, FP32, (changed(unlabelled, accuracy=None), None))
    assert list(warned) == ["int8-unproved"] and warned["int8-unproved"].trials == ("int8",)
    alone = found(tmp_path / "alone", int8())
    assert list(alone) == ["int8-unproved"]


def test_a_failed_trial_has_nothing_to_prove(tmp_path):
    failed = outcome(trial("t", precision="int8"), verdict=Verdict.INVALID, accuracy=None)
    assert found(tmp_path, (failed, None)) == {}


@pytest.mark.parametrize(
    ("weights", "data", "noisy"),
    [
        (WeightsKind.PACKAGED, "fashion", False),
        (WeightsKind.PACKAGED, "synthetic", True),
        (WeightsKind.RANDOM, "fashion", True),
    ],
)
def test_ranges_of_noise(tmp_path, weights, data, noisy):
    one, _ = int8(facts={"calibration": calibrated(data=data)})
    one = changed(one, model=changed(one.model, weights=weights))
    warned = found(tmp_path, FP32, (one, EXACT))
    assert list(warned) == (["calibrated-on-noise"] if noisy else [])


def test_few_images(tmp_path):
    few = int8("few", facts={"calibration": calibrated(images=99)})
    one = int8("one", facts={"calibration": calibrated(images=1)})
    enough = int8("enough", facts={"calibration": calibrated(images=100)})
    warned = found(tmp_path, FP32, few, one, enough)
    assert warned["few-calibration-images"].trials == ("few", "one")
    assert "on 1 image;" in warned["few-calibration-images"].sentence


def test_what_the_table_warns_of_is_passed_on_once(tmp_path):
    table = calibrated(
        images=50,
        warnings=("Only 50 images. [few-calibration-images]", "conv1 saw only zeros. [always-zero]"),
    )
    warned = found(
        tmp_path, FP32, int8("a", facts={"calibration": table}), int8("b", facts={"calibration": table})
    )
    assert list(warned) == ["few-calibration-images", "always-zero"]
    assert warned["always-zero"].sentence == "conv1 saw only zeros."
    assert warned["always-zero"].trials == ("a", "b")


def ran_in(built, **arithmetic):
    return changed(built, arithmetic=arithmetic)


@pytest.mark.parametrize(
    ("arithmetic", "says"), [({"int8": 4}, ""), ({}, ""), ({"int8": 3, "fp32": 1}, "3 of the 4 INT8 layers")]
)
def test_layers_that_the_engine_did_not_run_in_int8(tmp_path, arithmetic, says):
    one, _ = int8()
    warned = found(tmp_path, FP32, (changed(one, built=ran_in(one.built, **arithmetic)), EXACT))
    assert ("int8-partly" in warned) is bool(says)
    if says:
        assert warned["int8-partly"].sentence == (
            "onnxruntime runs 3 of the 4 INT8 layers of resnet50 in INT8; the others in a float format."
        )


def test_layers_kept_in_fp32_are_listed_once_a_calibration(tmp_path):
    kept = tuple(
        LayerFacts(name=name, op="Conv", int8=False, reason=reason)
        for name, reason in (("conv1", "asked"), ("head", ""))
    )
    table = {"calibration": calibrated(fp32_layers=kept)}
    warned = found(tmp_path, FP32, int8("a", facts=table), int8("b", facts=table, engine="openvino"))
    assert list(warned) == ["kept-fp32"] and warned["kept-fp32"].trials == ("a", "b")
    assert (
        warned["kept-fp32"].sentence
        == "resnet50: 2 of 6 layers with weights stay in FP32: conv1 (asked), head."
    )
    many = tuple(changed(kept[0], name=f"layer{n}") for n in range(9))
    whole = found(tmp_path / "many", FP32, int8(facts={"calibration": calibrated(fp32_layers=many)}))
    assert whole["kept-fp32"].sentence.endswith("layer5 (asked) and 3 more.")
