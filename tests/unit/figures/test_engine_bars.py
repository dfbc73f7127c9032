"""Throughput relative to the baseline."""

from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from tensordyno.analysis.baseline import bursts_of, relative
from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.engine_bars import MEMBER
from tensordyno.vocabulary import Verdict


def test_bars_are_the_ratios_of_the_analysis_fastest_first(run, rows):
    data = MEMBER.data(run, rows)
    expected = relative(rows, bursts_of(run), "onnxruntime")
    for row in data.rows:
        if row["label"] == "baseline":
            assert row["ratio"] == 1 and row["series"] == "onnxruntime fp32" and row["low"] is None
        else:
            interval = expected[row["trial"]].ratio.interval
            assert row["ratio"] == pytest.approx(interval.value, rel=1e-4)
            assert row["low"] == pytest.approx(interval.low, rel=1e-4)
    panel = [r["ratio"] for r in data.rows if r["panel"] == "resnet50, batch 8"]
    assert panel == sorted(panel, reverse=True) and len(panel) == 7


def test_each_panel_has_one_network_one_batch_size_and_one_baseline(run, rows):
    data = MEMBER.data(run, rows)
    panels = list(dict.fromkeys(r["panel"] for r in data.rows))
    assert panels == [f"{m}, batch {b}" for m in ("resnet50", "lenet5_fashion") for b in (1, 8, 32)]
    assert sum(r["label"] == "baseline" for r in data.rows) == len(panels)


def test_nothing_to_compare_is_no_chart_and_nobody_expects_it(small_run):
    small_run = changed(small_run, header=replace(small_run.header, baseline=""))
    rows = scores(small_run)
    found = MEMBER.data(small_run, rows)
    assert isinstance(found, Empty) and not found.expected
    broken = replace(rows[0], precision="bf16", verdict=Verdict.CRASHED)
    assert MEMBER.data(small_run, [*rows, broken]).expected  # it was to stand beside FP32
    asked = changed(small_run, header=replace(small_run.header, baseline="openvino"))
    assert MEMBER.data(asked, rows).expected


def test_of_too_many_panels_each_network_keeps_one(many_run):
    data = MEMBER.data(many_run, scores(many_run))
    panels = list(dict.fromkeys(r["panel"] for r in data.rows))
    assert panels == [f"network_{i:02}, batch 8" for i in range(9)]
    assert "largest batch size" in data.note and data.note.endswith("first 9 of 20 panels.")


def test_the_note_names_the_baseline(run, rows):
    assert MEMBER.data(run, rows).note == "The baseline (1×) is onnxruntime fp32."
