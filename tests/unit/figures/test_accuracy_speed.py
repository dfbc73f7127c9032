"""Accuracy against throughput."""

from msgspec.structs import replace

from tensordyno.figures.accuracy_speed import LEAST_SPAN, MEMBER
from tensordyno.vocabulary import Verdict


def test_no_row_on_the_front_is_beaten_on_both_counts(int8):
    rows = MEMBER.data(*int8).rows
    for row in rows:
        beaten = any(
            other["panel"] == row["panel"]
            and other["images_per_s"] >= row["images_per_s"]
            and other["top1"] >= row["top1"]
            and (other["images_per_s"], other["top1"]) != (row["images_per_s"], row["top1"])
            for other in rows
        )
        assert row["front"] != beaten
    assert {bool(r["label"]) for r in rows if r["front"]} == {True}


def test_only_trained_and_valid_trials_are_drawn(run, rows, int8):
    assert {r["panel"] for r in MEMBER.data(run, rows).rows} == {"lenet5_fashion"}  # resnet50 is random
    _, scores = int8
    assert len(MEMBER.data(*int8).rows) == sum(s.verdict is Verdict.VALID for s in scores)


def test_the_finding_says_what_speed_costs(int8):
    assert MEMBER.data(*int8).finding == (
        "lenet5_fashion: openvino(hint=throughput) int8 is 3.40 times as fast as onnxruntime fp32 for 0.20 "
        "points of top-1; resnet8_fashion: openvino int8 is 3.41 times as fast as onnxruntime fp32 for 0.15 "
        "points of top-1."
    )


def test_one_configuration_may_win_on_both_counts(int8):
    run, scores = int8
    best = max(s.top1.value for s in scores if s.top1)
    lucky = [
        replace(s, top1=replace(s.top1, value=best + 0.001)) if s.top1 and s.precision == "int8" else s
        for s in scores
    ]
    finding = MEMBER.data(run, lucky).finding
    assert "openvino int8, 32 is the fastest and nothing is more accurate" in finding


def test_equal_accuracies_are_not_blown_up(int8):
    run, scores = int8
    same = [replace(s, top1=replace(s.top1, value=0.9)) if s.top1 else s for s in scores]
    spec = MEMBER.chart(MEMBER.data(run, same))
    low, high = spec["concat"][0]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert low < 90 < high and high - low >= LEAST_SPAN


def test_nothing_timed_or_nothing_to_compare_is_left_out(untimed, small_run):
    assert not MEMBER.data(*untimed).expected
    assert not MEMBER.data(small_run, ()).expected
