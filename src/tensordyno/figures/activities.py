"""What each engine did when, as bars few enough to draw however long the run was."""

from itertools import pairwise

import numpy as np

from tensordyno.figures.base import Row
from tensordyno.figures.labels import in_order
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run

MOST_LANES = 10
MOST_BARS = 1500
COLUMNS = 400  # moments of a thinned lane


def activities(run: Run) -> tuple[tuple[Row, ...], str]:
    """Rows `lane, phase, start, stop, trial` in seconds since the start, and a note on what is left out.

    A run with more than `MOST_BARS` activities is cut into `COLUMNS` moments, each with the activity
    that took most of it.
    """
    rows = [row for outcome in run.outcomes for row in _of_outcome(outcome, run.header.clock_start_s)]
    lanes = in_order(row["lane"] for row in rows)
    note = ""
    if len(lanes) > MOST_LANES:
        note = f"Showing {MOST_LANES} of {len(lanes)} engines."
        rows = [row for row in rows if row["lane"] in set(lanes[:MOST_LANES])]
    if len(rows) > MOST_BARS:
        note = f"{note} Short activities are drawn as the longest at their moment.".strip()
        rows = [thin for lane in lanes[:MOST_LANES] for thin in _thinned(lane, rows)]
    return tuple(rows), note


def _of_outcome(outcome: Outcome, zero_s: float) -> list[Row]:
    """Phases, with the measuring phase replaced by its bursts, which say whether they were contended."""
    spans = [(p.name, p.start_s, p.stop_s) for p in outcome.phases if p.name != "measure"]
    spans += [("contended" if b.contended else "measured", b.start_s, b.stop_s) for b in outcome.bursts]
    names = {"lane": outcome.trial.engine.label, "trial": outcome.trial.id}
    return [
        {**names, "phase": name, "start": round(start - zero_s, 3), "stop": round(stop - zero_s, 3)}
        for name, start, stop in spans
        if stop > start
    ]


def _thinned(lane: str, rows: list[Row]) -> list[Row]:
    mine = [row for row in rows if row["lane"] == lane]
    phases = in_order(row["phase"] for row in mine)
    edges = np.linspace(0.0, max(row["stop"] for row in rows), COLUMNS + 1)
    share = np.zeros((len(phases), COLUMNS))
    for row in mine:
        first, last = np.searchsorted(edges, [row["start"], row["stop"]], side="right") - 1
        columns = np.arange(max(first, 0), min(last, COLUMNS - 1) + 1)
        overlap = np.minimum(edges[columns + 1], row["stop"]) - np.maximum(edges[columns], row["start"])
        share[phases.index(row["phase"]), columns] += overlap.clip(0)
    return _joined(lane, phases, share, edges)


def _joined(lane: str, phases: list[str], share: np.ndarray, edges: np.ndarray) -> list[Row]:
    """Neighbouring moments with the same main activity as one bar; idle ones as none."""
    busy = share.max(axis=0) > 0
    main = np.where(busy, share.argmax(axis=0), -1)
    cuts = [0, *(np.flatnonzero(np.diff(main)) + 1), COLUMNS]
    return [
        {
            "lane": lane,
            "trial": "several",
            "phase": phases[main[a]],
            "start": round(float(edges[a]), 3),
            "stop": round(float(edges[b]), 3),
        }
        for a, b in pairwise(cuts)
        if main[a] >= 0
    ]
