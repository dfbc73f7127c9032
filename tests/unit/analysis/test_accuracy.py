"""The accuracy table: one row a configuration, beside FP32."""

import pytest

from tensordyno.analysis.accuracy import accuracy_rows, is_unproved, loses_accuracy
from tensordyno.analysis.scores import scores
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import Preprocessing
from tensordyno.vocabulary import Task, Verdict, WeightsKind

from .builders import answers, calibrated, changed, counted, interval, outcome, run, trial
from .test_best import row

EXACT, COARSE = answers(2000, range(100)), answers(2000, range(110))


def table(root, *pairs):
    """Rows of a run of (outcome, answers)."""
    stored = run(root, [o for o, _ in pairs], answers={o.trial.id: t for o, t in pairs})
    return accuracy_rows(stored, scores(stored))


def int8(name, answered=COARSE, facts=None, **fields):
    asked = {"calibration": Calibration()} | fields
    return counted(name, answered, facts={"calibration": calibrated()} | (facts or {}), **asked), answered


def fp32(name, answered=EXACT, **fields):
    return counted(name, answered, "fp32", **fields), answered


def test_the_table_of_the_v100_paper(tmp_path):
    found = table(
        tmp_path,
        fp32("ort"),
        int8("ort8"),
        fp32("ov", engine="openvino"),
        int8("ov8", engine="openvino"),
        fp32("vgg", model="vgg16"),
        int8("vgg8", answers(2000, range(90)), model="vgg16"),
    )
    assert [(r.model, r.engine, r.precision) for r in found] == [
        ("resnet50", "onnxruntime", "int8"),
        ("resnet50", "openvino", "int8"),
        ("vgg16", "onnxruntime", "int8"),
    ]
    first, second, third = found
    assert (first.fp32_top1.value, first.top1.value) == (0.95, 0.945)
    assert first.paired.difference.value == pytest.approx(-0.005)
    assert (first.fp32.trial, second.fp32.trial, third.fp32.trial) == ("ort", "ov", "vgg")
    assert third.paired.difference.value > 0
    assert first.images == 2000 and first.score.calibration_method == "entropy"
    assert first.fp32_top5 == first.fp32.top5 and first.top5 == first.score.top5


def test_batch_size_boundary_and_task_change_no_answer(tmp_path):
    few = answers(500, range(30))
    found = table(
        tmp_path,
        fp32("exact"),
        int8("few", few),
        int8("many", batch_size=64),
        int8("accuracy", task=Task.ACCURACY),
    )
    assert [r.score.trial for r in found] == ["many"]


@pytest.mark.parametrize(
    "apart",
    [
        {"calibration": Calibration(method="minmax")},
        {"calibration": Calibration(batch_size=50)},
        {"engine": "openvino"},
        {"options": {"threads": 1}},
        {"device": "cuda:0"},
        {"precision": "bf16"},
    ],
)
def test_what_makes_a_row_of_its_own(tmp_path, apart):
    asked = {"precision": "int8", "calibration": Calibration()} | apart
    other = counted("b", COARSE, **asked)
    found = table(tmp_path, fp32("exact"), int8("a"), (other, COARSE))
    assert [r.score.trial for r in found] == ["a", "b"]
    assert {r.fp32.trial for r in found} == {"exact"}


def test_another_look_at_the_images_is_a_row_without_a_reference(tmp_path):
    one, answered = int8("look")
    look = Preprocessing(channels="bgr")
    one = changed(one, model=changed(one.model, preprocessing=look))
    (found,) = table(tmp_path, fp32("exact"), (one, answered))
    assert (found.fp32, found.paired, found.fp32_top1) == (None, None, None)
    assert found.top1.value == 0.945


def test_no_answers_no_row(tmp_path):
    stored = run(tmp_path, [outcome(trial("t", precision="int8"), accuracy=None, verdict=Verdict.INVALID)])
    assert accuracy_rows(stored, scores(stored)) == ()
    assert table(tmp_path / "fp32", fp32("exact")) == ()


def test_a_row_needs_its_score(tmp_path):
    one, answered = int8("a")
    stored = run(tmp_path, [one], answers={"a": answered})
    assert accuracy_rows(stored, ()) == ()


@pytest.mark.parametrize(
    ("low", "value", "high", "loses"),
    [
        (-0.02, -0.015, -0.005, True),
        (-0.02, -0.009, -0.001, False),  # surely worse, by less than a point
        (-0.05, -0.02, 0.001, False),  # perhaps not worse at all
        (0.001, 0.02, 0.03, False),
    ],
)
def test_when_a_drop_is_too_much(low, value, high, loses):
    difference = changed(interval(1.0), value=value, low=low, high=high)
    assert loses_accuracy(row("t", top1_difference=difference)) is loses
    assert not loses_accuracy(row("t"))


@pytest.mark.parametrize(
    ("fields", "unproved"),
    [
        ({}, True),
        ({"weights": "random"}, False),
        ({"weights": ""}, False),
        ({"precision": "bf16"}, False),
        ({"top1_difference": interval(0.01)}, False),
    ],
)
def test_int8_whose_price_nobody_knows(fields, unproved):
    asked = {"precision": "int8", "weights": WeightsKind.CHECKPOINT.value} | fields
    assert is_unproved(row("t", **asked)) is unproved
