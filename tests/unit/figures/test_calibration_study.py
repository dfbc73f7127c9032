"""Accuracy against calibration images."""

from itertools import pairwise

import pytest
from made_int8_run import LOST
from msgspec.structs import replace

from tensordyno.figures.base import Empty
from tensordyno.figures.calibration_study import LABEL_APART, MEMBER


def test_means_are_over_seeds_and_draws_are_beside_them(study):
    run, scores = study
    data = MEMBER.data(run, scores)
    assert len(data.told) == 4 * 4 * 2  # methods, numbers of images, batch sizes
    for row in data.told:
        draws = [
            r["points"]
            for r in data.rows
            if "points" in r and all(r[k] == row[k] for k in ("panel", "method", "images"))
        ]
        assert len(draws) == row["seeds"] == 3
        assert row["mean"] == pytest.approx(sum(draws) / 3, abs=1e-3)
        assert (row["least"], row["most"]) == (min(draws), max(draws))


def test_points_are_the_paired_differences_of_the_scores(study):
    run, scores = study
    (score,) = [
        s
        for s in scores
        if (s.calibration_method, s.calibration_images, s.calibration_batch, s.calibration_seed)
        == ("mse", 125, 5, 1)
    ]
    (row,) = [
        r
        for r in MEMBER.data(run, scores).rows
        if (r["panel"], r["method"], r["images"], r.get("seed"))
        == ("resnet8_fashion, 5 at a time", "mse", 125, 1)
    ]
    assert row["points"] == pytest.approx(100 * score.top1_difference.value, abs=1e-3)


def test_facets_only_where_the_batch_size_varies(study):
    run, scores = study
    assert len({r["panel"] for r in MEMBER.data(run, scores).rows}) == 2
    one = [s for s in scores if s.calibration_batch in (None, 25)]
    assert {r["panel"] for r in MEMBER.data(run, one).rows} == {"resnet8_fashion"}


def test_the_finding_answers_whether_the_batch_size_matters(study):
    run, scores = study
    finding = MEMBER.data(run, scores).finding
    assert finding.startswith(
        "resnet8_fashion: with 1,250 images entropy changes top-1 by −0.17 points, minmax"
    )
    assert finding.endswith("How many images are read at a time makes no difference at equal images.")
    worse = [
        replace(s, top1_difference=replace(s.top1_difference, value=s.top1_difference.value - 0.004))
        if s.calibration_batch == 5 and s.calibration_seed == 2
        else s
        for s in scores
    ]
    finding = MEMBER.data(run, worse).finding
    assert finding.endswith("makes a difference of at most 0.40 points at equal images.")


def test_every_line_is_named_once_and_names_do_not_collide(study):
    data = MEMBER.data(*study)
    domain = MEMBER.chart(data)["concat"][0]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    for panel in {r["panel"] for r in data.rows}:
        named = [r for r in data.rows if r["panel"] == panel and "label" in r]
        assert sorted(r["label"] for r in named) == sorted(LOST)
        places = sorted(r["label_at"] for r in named)
        least = LABEL_APART * (domain[1] - domain[0])
        assert all(b - a >= least * 0.99 for a, b in pairwise(places))


def test_engines_are_named_where_several_were_studied(study):
    run, scores = study
    other = [replace(s, engine="openvino") for s in scores]
    panels = {r["panel"] for r in MEMBER.data(run, (*scores, *other)).rows}
    assert "resnet8_fashion, openvino, 5 at a time" in panels


def test_one_calibration_is_no_study(int8, run, rows):
    expected = Empty("Fewer than two calibrations were tried on labelled images.", expected=False)
    assert MEMBER.data(*int8) == expected
    assert MEMBER.data(run, rows) == expected
