"""Accuracy against throughput: which configurations nothing else beats on both."""

import math
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    configuration_points,
    first_panels,
    layered,
    log_axis,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Verdict

SHAPE = Shape(columns=2, width=350, margin=90, pick="engine")
LEAST_SPAN = 0.4  # points of top-1 that the axis shows at least: smaller differences are noise


class AccuracySpeed(Figure):
    """How many right answers a faster configuration costs."""

    title = "Accuracy against throughput"
    how_to_read = (
        "Up and to the right is better. The line joins the configurations that no other beats on both "
        "counts; each is named with its batch size. The axis of accuracy is zoomed: look at its numbers."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a VALID trial with a throughput and labelled images; `front` marks the unbeaten."""
        timed = [s for s in scores if s.verdict is Verdict.VALID and s.images_per_s]
        labels = Labels(scores)
        judged = [s for s in timed if s.top1 is not None]
        if len({(s.engine, s.precision) for s in judged}) < 2:
            reason = "Fewer than two configurations were both timed and run on labelled images."
            return Empty(reason, expected=False)
        groups: dict[str, list[Score]] = {}
        for score in judged:
            groups.setdefault(labels.panel(score), []).append(score)
        rows, note = first_panels([row for group in groups.values() for row in _rows(group, labels)])
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch",
            "images_per_s": "Images/s",
            "top1": "Top-1, %",
            "front": "On the front",
        }
        return FigureData(rows=rows, columns=columns, finding=_finding(rows), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Points, the front as a line, and the front's labels."""
        alt = altair()
        engines = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        shapes = precision_scale([r["precision"] for r in data.rows])
        draw = partial(_panel, alt, data.rows, engines, shapes)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _front(scores: Collection[Score]) -> list[Score]:
    """The scores that no other beats on both counts, the fastest first; among equals the first."""
    front: list[Score] = []
    for score in sorted(scores, key=lambda s: (-_speed(s), -_top1(s), s.trial)):
        if not front or _top1(score) > _top1(front[-1]):
            front.append(score)
    return front


def _speed(score: Score) -> float:
    return score.images_per_s.value if score.images_per_s else 0.0


def _top1(score: Score) -> float:
    return score.top1.value if score.top1 else 0.0


def _rows(group: Sequence[Score], labels: Labels) -> list[Row]:
    """The rows of one panel; a name stands where it changes along the front."""
    named: dict[str, str] = {}
    previous = ""
    for score in _front(group):
        series = labels.series(score)
        named[score.trial] = "" if series == previous else f"{series}, {score.batch_size}"
        previous = series
    speeds = [_speed(score) for score in group]
    middle = math.sqrt(min(speeds) * max(speeds))  # of the logarithmic axis
    return [
        {
            "panel": labels.panel(score),
            "series": labels.series(score),
            "engine": labels.engine(score),
            "engine_name": score.engine_name,
            "precision": score.precision,
            "batch": score.batch_size,
            "images_per_s": rounded(_speed(score)),
            "top1": rounded(100 * _top1(score)),
            "front": score.trial in named,
            "label": named.get(score.trial, ""),
            "side": "left" if _speed(score) > middle else "right",
        }
        for score in group
    ]


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        front = sorted((r for r in rows if r["panel"] == panel and r["front"]), key=lambda r: -r["top1"])
        best, fastest = front[0], front[-1]
        if best is fastest:
            parts.append(f"{panel}: {best['label']} is the fastest and nothing is more accurate")
            continue
        gain = fastest["images_per_s"] / best["images_per_s"]
        parts.append(
            f"{panel}: {fastest['series']} is {gain:.2f} times as fast as {best['series']} "
            f"for {best['top1'] - fastest['top1']:.2f} points of top-1"
        )
    return "; ".join(parts) + "."


def _domain(values: Sequence[float]) -> list[float]:
    """Percent of top-1 with room above for two lines of text, never so zoomed that noise looks large."""
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN)
    middle = (low + high) / 2
    return [round(middle - 0.75 * span, 3), round(middle + 0.85 * span, 3)]


def _panel(
    alt: Any,
    rows: Sequence[Row],
    engines: dict[str, list[str]],
    shapes: dict[str, list[str]],
    name: str,
) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    speeds = [r["images_per_s"] for r in mine]
    domain, ticks = log_axis(min(speeds), max(speeds), 1.4)
    x = alt.X(
        "images_per_s:Q",
        title="images/s",
        scale=alt.Scale(type="log", nice=False, domain=domain),
        axis=alt.Axis(values=ticks, grid=False, format="~s"),
    )
    span = alt.Scale(domain=_domain([r["top1"] for r in mine]), nice=False, zero=False)
    y = alt.Y("top1:Q", title="top-1, %", scale=span, axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x, y=y)
    front = base.transform_filter(alt.datum.front)
    tip = tooltips(
        alt,
        series="configuration",
        batch="batch size",
        images_per_s="images/s #",
        top1="top-1, %",
        front="on the front",
    )
    points = configuration_points(alt, base, engines, shapes, tip)
    line = front.mark_line(interpolate="step-after", strokeWidth=1.2, style="plain")
    # Below a point the line that joins the front never runs; names grow towards the middle.
    right = front.transform_filter(alt.datum.side == "right").mark_text(
        align="left", dx=-5, dy=15, style="value"
    )
    left = front.transform_filter(alt.datum.side == "left").mark_text(
        align="right", dx=5, dy=15, style="value"
    )
    names = [side.encode(text="label:N") for side in (left, right)]
    return layered(line, points, *names, width=SHAPE.width, height=240, title=name)


MEMBER = AccuracySpeed()
