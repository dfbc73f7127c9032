"""Throughput and latency against batch size."""

import json

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.throughput_latency import MEMBER
from tensordyno.vocabulary import Verdict


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
    rows = scores(small_run)
    reason = "No network was measured at two or more batch sizes."
    assert MEMBER.data(small_run, rows) == Empty(reason, expected=False)
    broken = replace(rows[0], batch_size=8, verdict=Verdict.CRASHED)
    assert MEMBER.data(small_run, [*rows, broken]) == Empty(reason)
    beside = replace(rows[0], batch_size=8, engine="other")
    assert MEMBER.data(small_run, [*rows, beside]) == Empty(reason, expected=False)


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


def test_a_network_without_a_median_latency_has_no_axis_for_it(run, rows):
    unknown = [replace(s, latency_p50_s=None) if s.model == "resnet50" else s for s in rows]
    panels = MEMBER.chart(MEMBER.data(run, unknown))["concat"]
    with_axis = {p["title"] for p in panels if "latency, ms (dashed)" in json.dumps(p)}
    assert with_axis == {p["title"] for p in panels if not p["title"].startswith("resnet50")} != set()


def test_too_many_panels_are_cut(many_run):
    data = MEMBER.data(many_run, scores(many_run))
    assert data.note == "Showing the first 8 of 20 panels (network and precision); all are in trials.csv."


def test_a_cross_stands_where_memory_ran_out(gpu_run):
    data = MEMBER.data(gpu_run, scores(gpu_run))
    (out,) = [r for r in data.rows if r["images_per_s"] is None]
    assert (out["panel"], out["engine"], out["batch"]) == ("vgg16, 1 GPU", "torch", 3424)
    assert out["verdict"] == "out_of_memory"
    panels = MEMBER.chart(data)["concat"]
    crossed = [
        p["title"] for p in panels if any(x["mark"].get("text") == "×" for x in p["layer"][0]["layer"])
    ]
    assert crossed == [out["panel"]]


def test_many_panels_of_few_engines_are_joined_by_network(gpu_run):
    data = MEMBER.data(gpu_run, scores(gpu_run))
    assert {r["panel"] for r in data.rows} == {
        f"{m}, {n}" for m in ("resnet50", "vgg16") for n in ("1 GPU", "2 GPUs", "4 GPUs")
    }
    spec = MEMBER.chart(data)
    line, _, points = spec["concat"][0]["layer"][0]["layer"]
    assert (
        line["encoding"]["color"]["field"] == "precision" and points["encoding"]["shape"]["field"] == "engine"
    )
    assert spec["params"][0]["select"]["fields"] == ["precision"]
    assert "torch-compile fp16 at batch 256" in data.finding


def test_few_panels_keep_the_engines_colours(run, rows):
    spec = MEMBER.chart(MEMBER.data(run, rows))
    assert spec["concat"][0]["layer"][0]["layer"][0]["encoding"]["color"]["field"] == "engine"
