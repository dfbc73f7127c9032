import math
from itertools import pairwise

import pytest

from tensordyno.analysis.roofline import Roof
from tensordyno.figures.roof_lines import HEIGHT, roof_lines


def point(precision="fp16", intensity=100.0, tops=10.0):
    return {"precision": precision, "intensity": intensity, "tops": tops}


def roof(matmul, copy=1e12, peak=None):
    return Roof("made", matmul, copy, peak)


def corners(lines, name):
    return [(r["intensity"], r["tops"]) for r in lines if r.get("roof") == name]


def test_a_slope_that_begins_below_the_panel_is_cut_at_its_bottom():
    lines = list(roof_lines(roof({"fp16": 100e12}), [point(intensity=1.0), point(tops=50.0)]))
    (x, y), ridge, _ = corners(lines, "measured fp16")
    assert y == pytest.approx(6.0) and x == pytest.approx(6.0)  # 0.6 of the lowest point
    assert ridge == (100.0, 100.0)


def test_a_ridge_left_of_everything_leaves_a_level_roof():
    lines = list(roof_lines(roof({"fp16": 1e12}), [point(tops=5.0)]))
    assert [y for _, y in corners(lines, "measured fp16")] == [1.0, 1.0]


def test_without_a_bandwidth_roofs_are_level():
    lines = list(roof_lines(roof({"fp16": 100e12}, copy=None), [point()]))
    assert corners(lines, "measured fp16") == [(50.0, 100.0), (250.0, 100.0)]


def test_precisions_of_one_height_share_a_roof_and_those_that_did_not_run_have_none():
    matmul = {"fp16": 100e12, "bf16": 100e12, "int8": 200e12}
    lines = list(roof_lines(roof(matmul), [point("fp16"), point("bf16")]))
    assert {r["roof"] for r in lines if "roof" in r} == {"measured fp16 bf16"}
    assert [r["label"] for r in lines if r["kind"] == "label"] == ["fp16, bf16 measured, 100"]


def test_labels_of_near_roofs_do_not_touch():
    matmul = {"fp16": 100e12, "bf16": 101e12, "fp8": 102e12}
    lines = list(roof_lines(roof(matmul), [point(p, tops=10.0) for p in matmul]))
    places = sorted(math.log10(r["tops"]) for r in lines if r["kind"] == "label")
    gaps = [b - a for a, b in pairwise(places)]
    decade = HEIGHT / math.log10(2 * 102 / 6)
    assert min(gaps) * decade > 12.5


def test_no_roof_for_what_ran_means_no_lines():
    assert list(roof_lines(roof({"int8": 1e12}), [point("fp32")])) == []
