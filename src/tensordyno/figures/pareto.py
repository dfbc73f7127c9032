"""Throughput against latency: which configurations nothing else beats on both."""

from collections.abc import Sequence
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
    first_panels,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Verdict

SHAPE = Shape(columns=2, width=350, margin=90, pick="engine")


class Pareto(Figure):
    """The choice between answering fast and answering many."""

    title = "Throughput against latency"
    how_to_read = (
        "Up and to the left is better. The line joins the configurations that no other beats on both "
        "counts; each is named with its batch size."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a VALID trial; `front` marks those on the Pareto front of their panel."""
        labels = Labels(run, scores)
        valid = [s for s in scores if s.verdict is Verdict.VALID and s.images_per_s and s.latency_p50_s]
        if not valid:
            return Empty("No valid trial has both a throughput and a latency.")
        rows, note = first_panels([_row(s, labels) for s in valid])
        for panel in panel_names(rows):
            _mark_front([r for r in rows if r["panel"] == panel])
        if run.header.latency_bound_s:
            note = f"{note} The dotted line is the latency bound.".strip()
            for row in rows:
                row["bound_ms"] = rounded(1e3 * run.header.latency_bound_s)
        columns = {
            "panel": "Network",
            "engine": "Engine",
            "precision": "Precision",
            "batch": "Batch",
            "latency_ms": "Median latency, ms",
            "images_per_s": "Images/s",
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


def _row(score: Score, labels: Labels) -> Row:
    assert score.images_per_s is not None
    assert score.latency_p50_s is not None
    return {
        "panel": labels.panel(score),
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "batch": score.batch_size,
        "images_per_s": rounded(score.images_per_s.value),
        "latency_ms": rounded(1e3 * score.latency_p50_s.value),
        "front": False,
        "label": f"{labels.series(score)}, {score.batch_size}",
    }


def _mark_front(rows: Sequence[Row]) -> None:
    best = 0.0
    for row in sorted(rows, key=lambda r: (r["latency_ms"], -r["images_per_s"])):
        row["front"] = row["images_per_s"] > best
        best = max(best, row["images_per_s"])


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        front = [r["label"] for r in rows if r["panel"] == panel and r["front"]]
        parts.append(f"{panel}: {'; '.join(front[:4])}{' and more' if len(front) > 4 else ''}")
    return f"On the front (configuration, batch size): {'. '.join(parts)}."


def _panel(
    alt: Any,
    rows: Sequence[Row],
    engines: dict[str, list[str]],
    shapes: dict[str, list[str]],
    name: str,
) -> Any:
    x = alt.X("latency_ms:Q", title="median latency, ms", scale=alt.Scale(type="log", padding=16))
    y = alt.Y("images_per_s:Q", title="images/s", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x, y=y)
    front = base.transform_filter(alt.datum.front)
    tip = tooltips(
        alt,
        label="configuration, batch",
        images_per_s="images/s #",
        latency_ms="median latency, ms #",
        front="on the front",
    )
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        color=alt.Color("engine:N", title=None, scale=alt.Scale(**engines)),
        shape=alt.Shape("precision:N", title=None, scale=alt.Scale(**shapes)),
        opacity=when_picked(alt),
        tooltip=tip,
    )
    line = front.mark_line(interpolate="step-after", strokeWidth=1.2, style="plain")
    names = front.mark_text(align="left", dx=8, dy=-8, style="value").encode(text="label:N")
    layers = [points, line, names]
    if any(r.get("bound_ms") for r in rows):
        bound = alt.Chart(alt.NamedData(name=DATA)).transform_aggregate(bound_ms="min(bound_ms)")
        layers.append(bound.mark_rule(style="reference").encode(x="bound_ms:Q"))
    return alt.layer(*layers).properties(width=SHAPE.width, height=260, title=name)


MEMBER = Pareto()
