"""Throughput and efficiency by number of devices."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.scaling import MEMBER
from tensordyno.vocabulary import Verdict


@pytest.fixture(scope="module")
def gpu(gpu_run):
    return gpu_run, scores(gpu_run)


def test_one_row_a_number_of_devices_at_the_fastest_batch_size(gpu):
    data = MEMBER.data(*gpu)
    assert len(data.rows) == 2 * 2 * 2 * 3  # networks, engines, precisions, numbers of devices
    assert {r["batch"] for r in data.rows} == {256}
    assert {r["panel"] for r in data.rows} == {"resnet50", "vgg16"}
    for name in {(r["panel"], r["series"]) for r in data.rows}:
        mine = [r for r in data.rows if (r["panel"], r["series"]) == name]
        assert [r["devices"] for r in mine] == [1, 2, 4]
        assert [r["ideal"] for r in mine] == pytest.approx(
            [n * mine[0]["images_per_s"] for n in (1, 2, 4)], rel=1e-4
        )


def test_rows_hold_what_the_scores_hold(gpu):
    by_trial = {s.trial: s for s in gpu[1]}
    rows = MEMBER.data(*gpu).rows
    (row,) = [r for r in rows if (r["panel"], r["series"], r["devices"]) == ("vgg16", "torch fp16", 4)]
    score = by_trial["vgg16.torch.fp16.b256.x4"]
    assert row["speedup"] == pytest.approx(score.speedup.value, rel=1e-4)
    assert row["efficiency"] == pytest.approx(25 * score.speedup.value, rel=1e-4)
    assert row["efficiency_low"] < row["efficiency"] < row["efficiency_high"]
    assert row["label"] == f"{row['speedup']:.2f}×"


def test_speed_ups_stand_at_the_ends_and_apart(gpu):
    rows = [r for r in MEMBER.data(*gpu).rows if r["panel"] == "resnet50"]
    named = sorted(r["label_y"] for r in rows if r["label"])
    assert len(named) == 4 and {r["devices"] for r in rows if r["label"]} == {4}
    assert all(b - a > 0.07 * max(r["images_per_s"] for r in rows) for a, b in pairwise(named))


def test_two_panels_a_network_with_the_ideal_in_both(gpu):
    spec = MEMBER.chart(MEMBER.data(*gpu))
    assert [panel["title"] for panel in spec["concat"]] == [
        "resnet50: images/s",
        "resnet50: efficiency",
        "vgg16: images/s",
        "vgg16: efficiency",
    ]
    rates, shares = spec["concat"][:2]
    assert any(layer["encoding"]["y"].get("field") == "ideal" for layer in rates["layer"])
    assert "100.0" in str(shares) and rates["layer"][0]["encoding"]["y"]["scale"]["domain"][0] == 0


def test_the_finding_names_both_ends_and_the_batch_is_one_device_s(gpu):
    data = MEMBER.data(*gpu)
    assert data.finding.startswith("On 4 devices the efficiency is 96.9 % (")
    assert "the lowest is 96.6 %" in data.finding
    assert data.columns["batch"] == "Batch a device" and "of one device" in MEMBER.how_to_read


def test_without_the_single_device_there_is_no_speed_up(gpu):
    run, rows = gpu
    several = [replace(s, speedup=None, scaling_efficiency=None) for s in rows if s.devices > 1]
    data = MEMBER.data(run, several)
    assert {r["ideal"] for r in data.rows} == {r["speedup"] for r in data.rows} == {None}
    assert "no speed-up" in data.finding
    MEMBER.chart(data)


def test_poor_efficiency_has_room_on_the_axis(gpu):
    run, rows = gpu
    poor = [
        s if s.speedup is None else replace(s, scaling_efficiency=s.scaling_efficiency.scaled(0.5))
        for s in rows
    ]
    domain = MEMBER.chart(MEMBER.data(run, poor))["concat"][1]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert 0 <= domain[0] < 48 and domain[1] >= 105


def test_nothing_to_compare_is_said_or_not_even_that(run, rows, gpu):
    assert MEMBER.data(run, rows) == Empty("No trial was to run on several devices.", expected=False)
    crashed = [replace(s, verdict=Verdict.CRASHED, images_per_s=None) for s in gpu[1]]
    assert MEMBER.data(gpu[0], crashed) == Empty(
        "No configuration was measured with two different numbers of devices."
    )
