"""What each engine did when, as bars few enough to draw however long the run was."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tensordyno.figures.base import Row
from tensordyno.figures.labels import in_order
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run

FloatArray = NDArray[np.float64]
MOST_LANES = 10
MOST_BARS = 1500
COLUMNS = 400  # moments of a thinned lane
REST = "devices at rest"  # the lane of the idle windows

# What a stretch of the run was for, whichever engine it served.
_PURPOSE = {"warm-up": "warm-up", "measured": "measured", "contended": "measured"}
_PURPOSE |= {name: name for name in ("energy window", "idle")}


class Activity(NamedTuple):
    """One stretch of one trial, in seconds on the monotonic clock."""

    lane: str
    trial: str
    phase: str
    start_s: float
    stop_s: float


def activities(run: Run) -> tuple[tuple[Row, ...], str]:
    """Rows `lane, trial, phase, start, stop`, and a note on what is left out.

    `start` and `stop` are lists in seconds since the start, for all stretches of that trial and phase. A run
    with more than `MOST_BARS` of them is cut into `COLUMNS` moments, each with the activity that took most
    of it.
    """
    done = _done(run)
    lanes = in_order(activity.lane for activity in done if activity.lane != REST)
    note = ""
    if len(lanes) > MOST_LANES:
        note = f"Showing {MOST_LANES} of {len(lanes)} engines."
        lanes = lanes[:MOST_LANES]
    lanes += [REST] if run.idle else []
    done = [activity for activity in done if activity.lane in set(lanes)]
    if len(done) > MOST_BARS:
        note = f"{note} Short activities are drawn as the longest at their moment.".strip()
        edges = _edges(run, done)
        done = [thin for lane in lanes for thin in _thinned(lane, done, edges)]
    return _rows(done, run.header.clock_start_s), note


def purposes(run: Run) -> tuple[Row, ...]:
    """What the run as a whole did at each moment: rows `shaded, phase, start, stop` as in `activities`.

    The phases are build, warm-up, measured, energy window and idle.
    """
    done = [a._replace(lane="", phase=_PURPOSE.get(a.phase, "build")) for a in _done(run)]
    thin = _thinned("", done, _edges(run, done)) if done else []
    rows = _rows(thin, run.header.clock_start_s)
    return tuple({"shaded": True, **{key: row[key] for key in ("phase", "start", "stop")}} for row in rows)


def _done(run: Run) -> list[Activity]:
    """Everything of every engine, then the idle windows."""
    timed = [o for o in run.outcomes if o.trial.measurement.clock == "real"]  # a fake clock begins at 0
    done = [activity for outcome in timed for activity in _of_outcome(outcome)]
    return [*done, *(Activity(REST, f"{i.when} the trials", "idle", i.start_s, i.stop_s) for i in run.idle)]


def _of_outcome(outcome: Outcome) -> Iterator[Activity]:
    """Phases; measuring is replaced by its bursts, which say whether they were contended."""
    lane, trial = outcome.trial.engine.label, outcome.trial.id
    for phase in outcome.phases:
        if phase.name not in ("measure", "energy") and phase.stop_s > phase.start_s:
            yield Activity(lane, trial, phase.name, phase.start_s, phase.stop_s)
    for burst in outcome.bursts:
        if burst.stop_s > burst.start_s:
            name = "contended" if burst.contended else "measured"
            yield Activity(lane, trial, name, burst.start_s, burst.stop_s)
    if window := outcome.energy_window:
        yield Activity(lane, trial, "energy window", window.start_s, window.stop_s)


def _edges(run: Run, done: Sequence[Activity]) -> FloatArray:
    return np.linspace(run.header.clock_start_s, max(a.stop_s for a in done), COLUMNS + 1)


def _rows(done: Iterable[Activity], zero_s: float) -> tuple[Row, ...]:
    """One row a lane, trial and phase: a row a stretch would be most of a large report."""
    rows: dict[tuple[str, str, str], Row] = {}
    for activity in done:
        key = activity[:3]
        names = dict(zip(("lane", "trial", "phase"), key, strict=True))
        row = rows.setdefault(key, {**names, "start": [], "stop": []})
        row["start"].append(round(activity.start_s - zero_s, 3))
        row["stop"].append(round(activity.stop_s - zero_s, 3))
    return tuple(rows.values())


def _thinned(lane: str, done: list[Activity], edges: FloatArray) -> list[Activity]:
    """The main activity of each moment, neighbours with the same one joined, idle moments left out."""
    mine = [activity for activity in done if activity.lane == lane]
    phases = in_order(activity.phase for activity in mine)
    share = np.stack([_time_in(phase, mine, edges) for phase in phases])
    main = np.where(share.max(axis=0) > 0, share.argmax(axis=0), -1)
    cuts = [0, *(np.flatnonzero(np.diff(main)) + 1), COLUMNS]
    return [
        Activity(lane, "several", phases[main[a]], float(edges[a]), float(edges[b]))
        for a, b in pairwise(cuts)
        if main[a] >= 0
    ]


def _time_in(phase: str, mine: list[Activity], edges: FloatArray) -> FloatArray:
    """Seconds of a phase between neighbouring edges, shape (COLUMNS,)."""
    spans = np.array([(a.start_s, a.stop_s) for a in mine if a.phase == phase])
    return np.diff(_passed(spans[:, 0], edges) - _passed(spans[:, 1], edges))


def _passed(moments: FloatArray, edges: FloatArray) -> FloatArray:
    """At each edge, the time gone by since each earlier moment, summed."""
    ordered = np.sort(moments)
    before = np.searchsorted(ordered, edges)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    passed: FloatArray = edges * before - sums[before]
    return passed
