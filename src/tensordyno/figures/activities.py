"""What each engine did when, as bars few enough to draw however long the run was."""

from collections.abc import Iterator
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


class Activity(NamedTuple):
    """One stretch of one trial, in seconds on the monotonic clock."""

    lane: str
    trial: str
    phase: str
    start_s: float
    stop_s: float


def activities(run: Run) -> tuple[tuple[Row, ...], str]:
    """Rows `lane, phase, start, stop, trial` in seconds since the start, and a note on what is left out.

    A run with more than `MOST_BARS` activities is cut into `COLUMNS` moments, each with the activity
    that took most of it.
    """
    timed = [o for o in run.outcomes if o.trial.measurement.clock == "real"]  # a fake clock begins at 0
    done = [activity for outcome in timed for activity in _of_outcome(outcome)]
    lanes = in_order(activity.lane for activity in done)
    note = ""
    if len(lanes) > MOST_LANES:
        note = f"Showing {MOST_LANES} of {len(lanes)} engines."
        lanes = lanes[:MOST_LANES]
        done = [activity for activity in done if activity.lane in set(lanes)]
    if len(done) > MOST_BARS:
        note = f"{note} Short activities are drawn as the longest at their moment.".strip()
        edges = np.linspace(run.header.clock_start_s, max(a.stop_s for a in done), COLUMNS + 1)
        done = [thin for lane in lanes for thin in _thinned(lane, done, edges)]
    return tuple(_row(activity, run.header.clock_start_s) for activity in done), note


def _of_outcome(outcome: Outcome) -> Iterator[Activity]:
    """Phases, with the measuring phase replaced by its bursts, which say whether they were contended."""
    lane, trial = outcome.trial.engine.label, outcome.trial.id
    for phase in outcome.phases:
        if phase.name != "measure" and phase.stop_s > phase.start_s:
            yield Activity(lane, trial, phase.name, phase.start_s, phase.stop_s)
    for burst in outcome.bursts:
        if burst.stop_s > burst.start_s:
            name = "contended" if burst.contended else "measured"
            yield Activity(lane, trial, name, burst.start_s, burst.stop_s)


def _row(activity: Activity, zero_s: float) -> Row:
    start, stop = round(activity.start_s - zero_s, 3), round(activity.stop_s - zero_s, 3)
    return {
        "lane": activity.lane,
        "trial": activity.trial,
        "phase": activity.phase,
        "start": start,
        "stop": stop,
    }


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
