"""INT8 throughput over FP32."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.figures.base import Empty
from tensordyno.figures.int8_speedup import MEMBER, NEAR
from tensordyno.vocabulary import Precision, Verdict


def test_each_int8_trial_is_compared_with_fp32_of_its_own_engine_and_batch(int8):
    run, scores = int8
    data = MEMBER.data(run, scores)
    assert len(data.rows) == 11  # of 12 INT8 trials one is INVALID
    bursts = {o.trial.id: o.bursts for o in run.outcomes}
    (row,) = [
        r for r in data.rows if (r["panel"], r["engine"], r["batch"]) == ("resnet8_fashion", "openvino", 8)
    ]
    ratio = throughput_ratio(
        bursts["resnet8_fashion.openvino.int8.b8"], bursts["resnet8_fashion.openvino.fp32.b8"]
    )
    assert row["ratio"] == pytest.approx(ratio.interval.value, rel=1e-4)
    assert row["low"] < row["ratio"] < row["high"]
    assert row["int8"] / row["fp32"] == pytest.approx(row["ratio"], rel=0.02)


def test_trials_that_were_not_interleaved_are_compared_by_their_means(int8):
    assert {r["pairing"] for r in MEMBER.data(*int8).rows} == {"by means"}  # FP32 and INT8 are two groups


def test_every_line_ends_with_its_ratio_and_no_ratio_covers_another(int8):
    rows = MEMBER.data(*int8).rows
    for panel in {r["panel"] for r in rows}:
        mine = [r for r in rows if r["panel"] == panel]
        named = sorted((r for r in mine if r["label"]), key=lambda r: r["label_y"])
        assert {r["series"] for r in named} == {r["series"] for r in mine}
        for row in named:
            assert row["label"] == f"{row['ratio']:.2f}×"
            assert row["batch"] == max(r["batch"] for r in mine if r["series"] == row["series"])
        top = max(r["high"] for r in mine)
        for below, above in pairwise(named):
            assert above["label_y"] - below["label_y"] >= 0.99 * NEAR * top


def test_the_finding_names_both_ends(int8):
    finding = MEMBER.data(*int8).finding
    assert finding.startswith(
        "lenet5_fashion: 3.44× (3.42-3.46) at most, openvino(hint=throughput) at batch 8;"
    )
    assert "2.90× at least, onnxruntime at batch 1" in finding


def test_without_int8_there_is_nothing_to_say(run, rows, untimed):
    assert MEMBER.data(run, rows) == Empty("No INT8 trial was timed.", expected=False)
    assert not MEMBER.data(*untimed).expected


def test_int8_without_fp32_says_why(int8):
    run, scores = int8
    broken = [replace(s, verdict=Verdict.UNSTABLE) if s.precision == Precision.FP32 else s for s in scores]
    found = MEMBER.data(run, broken)
    assert found == Empty("No INT8 trial has a valid FP32 trial of the same engine at the same batch size.")
