"""Throughput against latency."""

from msgspec.structs import replace

from tensordyno.analysis.scores import scores
from tensordyno.figures.base import Empty
from tensordyno.figures.pareto import DENSE, MEMBER
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


def test_along_a_dense_front_each_name_stands_once_and_below(dense_run):
    data = MEMBER.data(dense_run, scores(dense_run))
    front = [r for r in data.rows if r["front"]]
    assert len(front) > DENSE
    named = [r["label"] for r in front if r["label"]]
    assert len(named) == len(set(named))
    (panel,) = MEMBER.chart(data)["concat"]
    (name,) = [x for x in panel["layer"] if x["encoding"].get("text", {}).get("field") == "label"]
    assert name["mark"]["dy"] > 0


def test_two_points_are_no_choice(run, rows):
    valid = [s for s in rows if s.verdict is Verdict.VALID]
    found = MEMBER.data(run, valid[:2])
    assert found == Empty("No network has a choice of configurations.", expected=False)
