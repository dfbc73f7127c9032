"""Accuracy on labelled images."""

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.accuracy import MEMBER
from tensordyno.figures.base import Empty


def test_one_row_a_configuration_in_percent_best_first(run, rows):
    data = MEMBER.data(run, rows)
    assert len(data.rows) == 7  # four engines in fp32, three in bf16, whatever the batch size
    values = [r["top1"] for r in data.rows]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(90.9) and data.rows[0]["label"] == "90.90 %"
    assert all(r["low"] < r["top1"] < r["high"] for r in data.rows)
    assert data.finding == "lenet5_fashion: fp32 90.90 %, bf16 90.75 %."


def test_random_weights_have_no_accuracy(small_run):
    rows = scores(small_run)
    reason = "No network was run on labelled images with trained weights."
    assert MEMBER.data(small_run, rows) == Empty(reason, expected=False)
    labelled = [replace(s, dataset="folder") for s in rows]
    assert MEMBER.data(small_run, labelled) == Empty(reason)


def test_precisions_have_their_own_marks_and_fp32_its_line(int8):
    data = MEMBER.data(*int8)
    panel = MEMBER.chart(data)["concat"][0]
    (marks,) = [unit for unit in panel["layer"] if "shape" in unit["encoding"]]
    assert marks["encoding"]["shape"]["scale"] == {"domain": ["fp32", "int8"], "range": ["circle", "diamond"]}
    (line,) = [unit for unit in panel["layer"] if unit["mark"].get("style") == "reference"]
    assert line["transform"][-1]["calculate"] == "90.5"


def test_the_difference_to_fp32_stands_beside_the_share(int8):
    labels = {r["series"]: r["label"] for r in MEMBER.data(*int8).rows if r["panel"] == "resnet8_fashion"}
    assert labels["openvino int8"] == "92.60 % (−0.15)"
    assert labels["openvino fp32"] == "92.75 %"


def test_of_many_calibrations_the_best_and_the_worst_are_drawn(study):
    run, scores = study
    rows = MEMBER.data(run, scores).rows
    assert [r["series"] for r in rows] == [
        "onnxruntime fp32", "onnxruntime int8, best of 96", "onnxruntime int8, worst of 96",
    ]  # fmt: skip
    shares = [100 * s.top1.value for s in scores if s.precision == "int8"]
    assert [r["top1"] for r in rows[1:]] == pytest.approx([max(shares), min(shares)])
    assert rows[-1]["calibration"].startswith("minmax, 25 images, ")
