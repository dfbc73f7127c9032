"""Device memory and throughput against batch size, to the point where memory ran out.

After figure 6 of the P40 paper (Dell, "Deep Learning Inference on P40 GPUs", 2017).
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from tensordyno.analysis.batch_limits import BatchLimit, batch_limits
from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    first_panels,
    layered,
    log_axis,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.sweeps import HEIGHT, PICK, Sweep, cross, identity, swept
from tensordyno.store.reader import Run

SHAPE = Shape(columns=2, width=350, margin=78, pick=PICK)
GIB = 2**30
FALL = 1.1  # of the memory, from which it wants to be explained
MEMORY, SPEED = "device memory, GiB", "images/s"


class DeviceMemory(Figure):
    """How large a batch may be, and whether it is worth it."""

    title = "Batch size until memory runs out"
    how_to_read = (
        "Left, the device memory that a build held at most; right, its throughput. A ring is the largest "
        "batch found to fit, a cross the smallest that ran out of memory, at the memory that it would have "
        "needed at least. The dashed line is all the memory there is."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a trial whose memory is known; then one each for the batch that fits and that does not."""
        labels = Labels(scores)
        ends = batch_limits(run, scores)
        rows = [_measured(s, labels) for s in scores if s.peak_device_bytes is not None]
        rows += [row for end in ends for row in _ends(end, labels)]
        shown = swept(rows)
        rows = [row for row in rows if row["panel"] in shown]
        if not any(row["memory_gib"] for row in rows):
            return Empty("No trial's device memory is known at two batch sizes.", expected=False)
        kept, note = first_panels(rows)
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch",
            "memory_gib": "Device memory, GiB",
            "images_per_s": "Images/s",
            "end": "Ends the sweep",
        }
        note = f"{note} {_falling(kept)}".strip()
        return FigureData(rows=kept, columns=columns, finding=_finding(ends, labels), note=note)

    def chart(self, data: FigureData) -> Spec:
        """For each network a panel of memory and one of throughput."""
        alt = altair()
        sweep = Sweep(alt, data.rows)
        names = panel_names(data.rows)
        panels = build_panels(names, partial(_memory, sweep))
        speeds = build_panels(names, partial(_speed, sweep))
        both = [panel for pair in zip(panels, speeds, strict=True) for panel in pair]
        return arrange(both, data.rows, SHAPE, self.title)


def _measured(score: Score, labels: Labels) -> Row:
    speed = score.images_per_s.value if score.is_timed and score.images_per_s else None
    return {
        **identity(score, labels),
        "memory_gib": _gib(score.peak_device_bytes),
        "images_per_s": rounded(speed),
        "end": "",
        "total_gib": None,
    }


def _ends(limit: BatchLimit, labels: Labels) -> list[Row]:
    """The largest batch that fits and the smallest that does not."""
    total = _gib(limit.shortage.total_bytes) if limit.shortage else None
    shared = {**identity(limit.score, labels), "images_per_s": None, "total_gib": total}
    rows = [{**shared, "batch": limit.fails, "memory_gib": _gib(limit.needed_bytes), "end": "ran out"}]
    if limit.fits:
        rows.insert(0, {**shared, "batch": limit.fits, "memory_gib": _gib(limit.peak_bytes), "end": "fits"})
    return rows


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else rounded(size_bytes / GIB, 4)


def _finding(ends: Sequence[BatchLimit], labels: Labels) -> str:
    if not ends:
        return "No batch ran out of memory."
    told = [f"{labels.panel(e.score)}, {labels.series(e.score)}: {e.sentence}" for e in ends[:3]]
    return f"{'; '.join(told)}{f'; {len(ends) - 3} more below' if len(ends) > 3 else ''}."


def _falling(rows: Sequence[Row]) -> str:
    """Why memory may fall from one batch size to the next, where it does."""
    held: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        if row["memory_gib"] and not row["end"]:
            held.setdefault((row["panel"], row["series"]), []).append((row["batch"], row["memory_gib"]))
    lines = (sorted(line) for line in held.values())
    if not any(a[1] > FALL * b[1] for line in lines for a, b in pairwise(line)):
        return ""
    return (
        "Where less memory is held than at a smaller batch size, the smaller one also tried layouts or "
        "algorithms while it was built."
    )


def _memory(sweep: Sweep, name: str) -> Spec:
    alt, mine = sweep.alt, [r for r in sweep.rows if r["panel"] == name]
    known = [r[key] for r in mine for key in ("memory_gib", "total_gib") if r[key]]
    domain, ticks = log_axis(min(known, default=1.0), max(known, default=1.0), 1.25)
    y = alt.Y(
        "memory_gib:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False, domain=domain),
        axis=alt.Axis(values=ticks, format="~g"),
    )
    tip = _tooltip(alt)
    held = sweep.base(name, "isValid(datum.memory_gib) && datum.end !== 'ran out'")
    parts = [
        _total(alt, name, y),
        *sweep.line(held, y, tip),
        sweep.base(name, "isValid(datum.memory_gib) && datum.end === 'fits'")
        .mark_point(filled=False, size=190, strokeWidth=1.8, opacity=1)
        .encode(y=y, tooltip=tip),
        cross(sweep.base(name, "isValid(datum.memory_gib) && datum.end === 'ran out'"), y, tip),
    ]
    return layered(*parts, width=SHAPE.width, height=HEIGHT, title=f"{name}: {MEMORY}")


def _total(alt: Any, name: str, y: Any) -> Any:
    """All the memory of the device, where an error told it."""
    whole = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter(f"datum.panel === {name!r} && isValid(datum.total_gib)")
        .transform_aggregate(memory_gib="max(total_gib)")
    )
    return whole.mark_rule(style="reference").encode(y=y)


def _speed(sweep: Sweep, name: str) -> Spec:
    alt = sweep.alt
    y = alt.Y("images_per_s:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    tip = _tooltip(alt)
    timed = sweep.base(name, "isValid(datum.images_per_s)")
    out = sweep.base(name, "datum.end === 'ran out'")
    parts = [*sweep.line(timed, y, tip), cross(out, alt.YDatum(0), tip)]
    return layered(*parts, width=SHAPE.width, height=HEIGHT, title=f"{name}: {SPEED}")


def _tooltip(alt: Any) -> list[Any]:
    return tooltips(
        alt,
        series="configuration",
        batch="batch size",
        memory_gib="device memory, GiB #",
        images_per_s="images/s #",
        end="ends the sweep",
    )


MEMBER = DeviceMemory()
