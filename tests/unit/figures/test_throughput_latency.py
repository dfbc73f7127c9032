"""Throughput and latency against batch size."""

import pytest

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.throughput_latency import MEMBER


def test_each_measured_trial_is_a_row_with_its_interval_and_latency(run, rows):
    data = MEMBER.data(run, rows)
    assert len(data.rows) == sum(s.verdict.is_measured for s in rows)
    one = next(s for s in rows if s.trial == "resnet50.openvino.bf16.b8")
    (row,) = [
        r for r in data.rows if (r["panel"], r["engine"], r["batch"]) == ("resnet50, bf16", "openvino", 8)
    ]
    assert row["images_per_s"] == pytest.approx(one.images_per_s.value, rel=1e-4)
    assert row["low"] < row["images_per_s"] < row["high"]
    assert row["latency_ms"] == pytest.approx(1e3 * one.latency_p50_s.value, rel=1e-4)


def test_crashed_and_invalid_trials_are_not_drawn(run, rows):
    drawn = {(r["panel"], r["engine"], r["batch"]) for r in MEMBER.data(run, rows).rows}
    assert ("resnet50, bf16", "torch-compile", 32) not in drawn
    assert ("resnet50, bf16", "torch-compile", 1) not in drawn


def test_one_batch_size_is_no_line(small_run):
    assert MEMBER.data(small_run, scores(small_run)) == Empty(
        "No network was measured at two or more batch sizes."
    )


def test_the_finding_names_the_best(run, rows):
    assert MEMBER.data(run, rows).finding.startswith(
        "resnet50, fp32: at most 54.0 images/s, onnxruntime at batch 8;"
    )


def test_axes_are_twins_and_the_right_one_is_logarithmic(run, rows):
    panel = MEMBER.chart(MEMBER.data(run, rows))["concat"][0]
    right = panel["layer"][1]["encoding"]["y"]
    assert panel["resolve"]["scale"]["y"] == "independent"
    assert right["axis"]["orient"] == "right" and right["scale"]["type"] == "log"
    assert len(panel["layer"][0]["layer"]) == 3  # line, interval, point


def test_too_many_panels_are_cut(many_run):
    data = MEMBER.data(many_run, scores(many_run))
    assert data.note == "Showing the first 8 of 20 panels (network and precision); all are in trials.csv."
