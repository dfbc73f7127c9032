"""Time to the first inference."""

import pytest

from tensordyno.figures.first_inference import MEMBER, STEPS


def test_steps_add_up_to_the_total_of_the_smallest_batch(run, rows):
    data = MEMBER.data(run, rows)
    by_bar = {}
    for row in data.rows:
        by_bar.setdefault((row["panel"], row["series"]), []).append(row)
    assert ("resnet50", "torch-compile fp32") in by_bar
    for steps in by_bar.values():
        assert [s["step"] for s in steps] == list(STEPS)
        assert sum(s["seconds"] for s in steps) == pytest.approx(steps[0]["total"], rel=1e-3)
        assert {s["batch"] for s in steps} == {1}


def test_the_fastest_starter_comes_first(run, rows):
    totals = [r["total"] for r in MEMBER.data(run, rows).rows if r["panel"] == "resnet50" and r["order"] == 0]
    assert totals == sorted(totals) and len(totals) == 7


def test_the_finding_names_both_ends(run, rows):
    finding = MEMBER.data(run, rows).finding
    assert finding == "resnet50: onnxruntime fp32 answers after 349 ms, torch-compile fp32 after 14.6 s."
