"""Points under roofs."""

import dataclasses

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.roofline import MEMBER, NAMED
from tensordyno.records.device import DevicePage
from tensordyno.vocabulary import Verdict


@pytest.fixture(scope="module")
def found(gpu_run):
    return MEMBER.data(gpu_run, scores(gpu_run))


def of(data, kind):
    return [row for row in data.rows if row["kind"] == kind]


def test_a_point_a_valid_trial_on_one_device_at_its_own_rate(gpu_run, found):
    alone = [s for s in scores(gpu_run) if s.verdict is Verdict.VALID and s.devices == 1]
    points = of(found, "point")
    assert [r["tops"] for r in points] == pytest.approx([s.operations_per_s / 1e12 for s in alone], rel=1e-3)
    assert [r["intensity"] for r in points] == pytest.approx([s.intensity for s in alone], rel=1e-3)
    assert {r["panel"] for r in points} == {"NVIDIA H200"}


def test_where_nothing_ran_alone_the_rate_is_that_of_each_device(gpu_run):
    four = [s for s in scores(gpu_run) if s.devices == 4]
    points = of(MEMBER.data(gpu_run, four), "point")
    assert points[0]["tops"] == pytest.approx(four[0].operations_per_s / 4e12, rel=1e-3)


def test_the_fastest_batch_of_each_build_is_the_large_point_and_in_the_table(found):
    best = [r for r in of(found, "point") if r["best"]]
    assert {(r["model"], r["engine"], r["precision"]) for r in best} == {
        (m, e, p) for m in ("resnet50", "vgg16") for e in ("torch", "torch-compile") for p in ("fp32", "fp16")
    }
    assert {r["batch"] for r in best} == {256}
    assert [{**r, "label": ""} for r in best] == list(found.told)


def test_the_highest_point_of_each_network_bears_its_name(found):
    named = [r for r in of(found, "point") if r["label"]]
    assert {r["label"] for r in named} == {"resnet50", "vgg16"} and len(named) == 2
    assert all(r["precision"] == "fp16" for r in named)


def test_many_networks_bear_no_names(long_run):
    rows = scores(long_run)
    pages = [replace(s, intensity=50.0) for s in rows]
    points = of(MEMBER.data(long_run, pages), "point")
    assert len({r["model"] for r in points}) > NAMED and not any(r["label"] for r in points)


def test_roofs_are_those_of_the_page_and_of_the_vendor(found):
    for kind, fp16, fp32, slope in (("measured", 686, 51, 4.29), ("published", 989.5, 66.9, 4.8)):
        lines = of(found, kind)
        for precision, limit in (("fp16", fp16), ("fp32", fp32)):
            corners = [(r["intensity"], r["tops"]) for r in lines if r["roof"] == f"{kind} {precision}"]
            begin, ridge, end = corners
            assert begin[1] / begin[0] == pytest.approx(slope, rel=2e-3)
            assert ridge == (pytest.approx(limit / slope, rel=2e-3), pytest.approx(limit, rel=1e-3))
            assert end[1] == ridge[1] and begin[0] < ridge[0] < end[0]


def test_no_point_lies_outside_the_frame_of_its_roofs(found):
    xs = [r["intensity"] for r in found.rows if r["kind"] != "point"]
    assert all(min(xs) < r["intensity"] < max(xs) for r in of(found, "point"))


def test_the_finding_names_the_best_of_each_precision_and_both_shares(found):
    assert found.finding.startswith("NVIDIA H200: at most 38.")
    assert found.finding.count("NVIDIA H200") == 2
    assert (
        "% of the measured and" in found.finding and "% of the published matrix product rate" in found.finding
    )


def test_a_device_that_was_not_measured_stands_under_the_published_roof_alone(gpu_run):
    bare = tuple(DevicePage(device=p.device, name=p.name, reason="no") for p in gpu_run.pages)
    unmeasured = dataclasses.replace(gpu_run, pages=bare)
    data = MEMBER.data(unmeasured, scores(unmeasured))
    assert of(data, "published") and not of(data, "measured")
    assert all(r["of_ceiling"] is None for r in data.told)


def test_without_a_roof_or_without_traffic_there_is_nothing_and_nobody_expected_it(run, rows, gpu_run):
    assert MEMBER.data(run, rows) == Empty("No ceilings are known of this run's devices.", expected=False)
    old = [replace(s, intensity=None) for s in scores(gpu_run)]
    assert MEMBER.data(gpu_run, old) == Empty(
        "The memory traffic of these networks was not counted.", expected=False
    )
    failed = [replace(s, verdict=Verdict.CRASHED) for s in scores(gpu_run)]
    assert isinstance(MEMBER.data(gpu_run, failed), Empty)


def test_published_roofs_are_dashed_and_measured_ones_are_not(found):
    (panel,) = MEMBER.chart(found)["concat"]
    marks = {
        layer["transform"][-1]["filter"]: layer["mark"]["style"]
        for layer in panel["layer"]
        if layer["mark"]["type"] == "line"
    }
    assert marks == {"(datum.kind === 'published')": "reference", "(datum.kind === 'measured')": "plain"}
