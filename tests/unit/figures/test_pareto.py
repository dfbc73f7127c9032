"""Throughput against latency."""

from msgspec.structs import replace

from tensordyno.figures.base import Empty
from tensordyno.figures.pareto import MEMBER
from tensordyno.vocabulary import Verdict


def test_no_row_on_the_front_is_beaten_on_both_counts(run, rows):
    data = MEMBER.data(run, rows)
    for panel in {r["panel"] for r in data.rows}:
        mine = [r for r in data.rows if r["panel"] == panel]
        for row in mine:
            beaten = any(
                o["images_per_s"] > row["images_per_s"] and o["latency_ms"] < row["latency_ms"] for o in mine
            )
            assert row["front"] != beaten
        assert any(r["front"] for r in mine)


def test_only_valid_trials_are_drawn(run, rows):
    assert len(MEMBER.data(run, rows).rows) == sum(s.verdict is Verdict.VALID for s in rows)
    none = [replace(s, verdict=Verdict.UNSTABLE) for s in rows]
    assert MEMBER.data(run, none) == Empty("No valid trial has both a throughput and a latency.")


def test_a_name_stands_where_it_changes_along_the_front(run, rows):
    named = [r["label"] for r in MEMBER.data(run, rows).rows if r["front"] and r["panel"] == "resnet50"]
    assert named.count("openvino bf16") == 1 and set(named) == {"openvino bf16", ""}


def test_the_bound_is_drawn_where_it_lies_inside(run, rows):
    first, second = MEMBER.chart(MEMBER.data(run, rows))["concat"]
    dashed = [layer for layer in first["layer"] if layer["mark"].get("style") == "reference"]
    assert dashed[0]["transform"][-1]["calculate"] == "100.0"
    assert not [layer for layer in second["layer"] if layer["mark"].get("style") == "reference"]
