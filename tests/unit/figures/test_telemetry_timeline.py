"""The run over time."""

import json
from dataclasses import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.telemetry_timeline import LANES, MEMBER


def test_lanes_and_strips_share_one_time_axis(small_run):
    data = MEMBER.data(small_run, scores(small_run))
    spec = MEMBER.chart(data)
    assert [p["title"] for p in spec["concat"]] == [
        LANES,
        "CPU utilisation, %",
        "Memory used, GiB",
        "Power, W",
    ]
    encodings = [layer["encoding"] for p in spec["concat"] for layer in p["layer"]]
    assert len({tuple(e["x"]["scale"]["domain"]) for e in encodings}) == 1
    assert [bool(p["layer"][-1]["encoding"]["x"]["title"]) for p in spec["concat"]] == [
        False,
        False,
        False,
        True,
    ]


def test_the_table_sums_up_each_sensor(run, rows):
    told = MEMBER.data(run, rows).told
    assert [(t["strip"], t["unit"]) for t in told] == [("CPU utilisation", "%"), ("Memory used", "GiB")]
    assert all(t["low"] <= t["mean"] <= t["high"] for t in told)


def test_a_run_without_sensors_still_shows_what_was_done(run, rows):
    blind = replace(run)
    blind.__dict__["series"] = ()
    data = MEMBER.data(blind, rows)
    assert data.finding == "No sensor could be read." and data.told == ()
    assert len(MEMBER.chart(data)["concat"]) == 1


def test_sensors_without_activities_have_nothing_to_pick(run, rows):
    spec = MEMBER.chart(MEMBER.data(replace(run, outcomes=()), rows))
    assert "params" not in spec and len(spec["concat"]) == 2


def test_nothing_at_all_is_said_so(run, rows):
    blind = replace(run, outcomes=())
    blind.__dict__["series"] = ()
    assert MEMBER.data(blind, rows) == Empty("Neither activities nor readings were recorded.")


def layers(spec, title):
    return next(p for p in spec["concat"] if p["title"] == title)["layer"]


def test_each_gpu_has_its_own_colour_and_the_limit_is_dashed(gpu_run):
    spec = MEMBER.chart(MEMBER.data(gpu_run, ()))
    titles = [p["title"] for p in spec["concat"]]
    assert titles[:4] == [
        LANES,
        "GPU utilisation, %",
        "GPU memory controller busy, %",
        "GPU memory used, GiB",
    ]
    shading, line, limit = layers(spec, "GPU power, W")
    assert shading["mark"]["type"] == "rect" and limit["mark"]["style"] == "reference"
    scale = line["encoding"]["stroke"]["scale"]
    assert scale["domain"] == ["gpu0", "gpu1", "gpu2", "gpu3"] and len(set(scale["range"])) == 4
    assert [r["limit"] for r in spec["datasets"]["rows"] if "limit" in r] == [700.0]
    assert len(layers(spec, "GPU temperature, °C")) == 2


def test_a_single_device_needs_no_legend_and_shows_its_extremes(small_run):
    spec = MEMBER.chart(MEMBER.data(small_run, ()))
    shading, band, line = layers(spec, "Power, W")
    assert "value" in line["encoding"]["stroke"] and band["mark"]["type"] == "area"
    assert (
        shading["encoding"]["color"]["scale"] == spec["concat"][0]["layer"][0]["encoding"]["color"]["scale"]
    )


def test_the_finding_gives_the_range_over_several_gpus(gpu_run):
    assert MEMBER.data(gpu_run, ()).finding.startswith("GPU utilisation (gpu0 to gpu3) ")


def test_a_long_run_of_eight_gpus_stays_small(long_run):
    found = MEMBER.data(long_run, ())
    assert len(json.dumps(MEMBER.chart(found), separators=(",", ":"))) < 300_000
    assert "Short activities" in found.note


def test_several_devices_have_a_legend(gpu_run):
    """A fill without a legend would take the stroke's away."""
    spec = MEMBER.chart(MEMBER.data(gpu_run, scores(gpu_run)))
    layers = [layer["encoding"] for panel in spec["concat"] for layer in panel["layer"]]
    named = [e[c] for e in layers for c in ("stroke", "fill") if "field" in e.get(c, {})]
    assert named and all(channel["legend"] == {"symbolOpacity": 1} for channel in named)
