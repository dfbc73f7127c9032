"""The run over time."""

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
    domains = {tuple(p["layer"][0]["encoding"]["x"]["scale"]["domain"]) for p in spec["concat"]}
    assert len(domains) == 1
    assert [bool(p["layer"][0]["encoding"]["x"]["title"]) for p in spec["concat"]] == [
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
