"""Activities: exact while few, bounded and truthful when many."""

from dataclasses import replace
from itertools import pairwise

from tensordyno.figures import activities as module
from tensordyno.figures.activities import COLUMNS, REST, Activity, activities, purposes
from tensordyno.records.device import IdleWindow


def unfolded(rows):
    """One row a stretch."""
    return [
        {**row, "start": start, "stop": stop}
        for row in rows
        for start, stop in zip(row["start"], row["stop"], strict=True)
    ]


def test_few_activities_are_drawn_as_they_were(run):
    rows, note = activities(run)
    rows = unfolded(rows)
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
    rows = unfolded(rows)
    lanes = {o.trial.engine.label for o in run.outcomes}
    assert len(rows) <= COLUMNS * len(lanes)
    assert {r["lane"] for r in rows} == lanes
    assert "longest at their moment" in note
    for lane in lanes:
        mine = [r for r in rows if r["lane"] == lane]
        mine.sort(key=lambda r: r["start"])
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


def test_idle_and_energy_windows_are_activities(gpu_run):
    rows, _ = activities(gpu_run)
    assert [(r["trial"], len(r["start"])) for r in rows if r["lane"] == REST] == [
        ("before the trials", 1),
        ("after the trials", 1),
    ]
    windows = [r for r in rows if r["phase"] == "energy window"]
    assert len(windows) == sum(o.energy_window is not None for o in gpu_run.outcomes)
    assert all(r["stop"][0] - r["start"][0] > 5 for r in windows)
    assert "energy" not in {r["phase"] for r in rows}


def test_windows_at_rest_are_shown_beside_as_many_engines_as_there_is_room_for(run, monkeypatch):
    monkeypatch.setattr(module, "MOST_LANES", 2)
    resting = replace(run, idle=(IdleWindow(when="before", start_s=1000.0, stop_s=1001.0),))
    rows, note = activities(resting)
    assert {r["lane"] for r in rows} >= {REST} and len({r["lane"] for r in rows}) == 3
    assert note == "Showing 2 of 5 engines."


def test_what_the_run_did_is_one_thing_at_a_time(gpu_run):
    rows = purposes(gpu_run)
    assert {r["phase"] for r in rows} == {"build", "warm-up", "measured", "energy window", "idle"}
    spans = sorted((r["start"], r["stop"]) for r in unfolded(rows))
    assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(spans))
    assert len(spans) <= COLUMNS and all(r["shaded"] for r in rows)


def test_a_run_that_did_nothing_has_no_purpose(run):
    assert purposes(replace(run, outcomes=())) == ()
