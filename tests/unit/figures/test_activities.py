"""Activities: exact while few, bounded and truthful when many."""

from itertools import pairwise

from tensordyno.figures import activities as module
from tensordyno.figures.activities import COLUMNS, Activity, activities


def test_few_activities_are_drawn_as_they_were(run):
    rows, note = activities(run)
    assert note == ""
    measured = [r for r in rows if r["phase"] in ("measured", "contended")]
    assert len(measured) == sum(len(o.bursts) for o in run.outcomes)
    assert sum(r["phase"] == "contended" for r in rows) == sum(
        b.contended for o in run.outcomes for b in o.bursts
    )
    assert all(0 <= r["start"] < r["stop"] for r in rows)
    assert "measure" not in {r["phase"] for r in rows}


def test_many_are_thinned_to_a_bounded_number(run, monkeypatch):
    monkeypatch.setattr(module, "MOST_BARS", 100)
    rows, note = activities(run)
    lanes = {o.trial.engine.label for o in run.outcomes}
    assert len(rows) <= COLUMNS * len(lanes)
    assert {r["lane"] for r in rows} == lanes
    assert "longest at their moment" in note
    for lane in lanes:
        mine = [r for r in rows if r["lane"] == lane]
        assert all(a["stop"] <= b["start"] + 1e-6 for a, b in pairwise(mine))


def test_thinning_finds_the_main_activity_of_each_moment(monkeypatch):
    monkeypatch.setattr(module, "COLUMNS", 4)
    done = [
        Activity("a", "t", "load", 0.0, 0.9),
        Activity("a", "t", "compile", 0.9, 2.0),
        Activity("a", "t", "measured", 3.2, 4.0),
    ]
    edges = module.np.linspace(0.0, 4.0, 5)
    thin = module._thinned("a", done, edges)
    assert [(t.phase, t.start_s, t.stop_s) for t in thin] == [
        ("load", 0.0, 1.0),
        ("compile", 1.0, 2.0),
        ("measured", 3.0, 4.0),
    ]


def test_too_many_engines_are_cut_and_the_reader_is_told(run, monkeypatch):
    monkeypatch.setattr(module, "MOST_LANES", 2)
    rows, note = activities(run)
    assert len({r["lane"] for r in rows}) == 2
    assert note == "Showing 2 of 5 engines."
