"""Throughput against latency: which configurations nothing else beats on both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.alike import by_question
from tensordyno.analysis.best import pareto
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
    mark_value,
    panel_names,
    rounded,
    tooltips,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Verdict

SHAPE = Shape(columns=2, width=350, margin=90, pick="engine")
FEWEST = 3  # points of a panel
DENSE = 6  # points of a front above which there is no room above them


class Pareto(Figure):
    """The choice between answering fast and answering many."""

    title = "Throughput against latency"
    how_to_read = (
        "Up and to the left is better. The line joins the configurations that no other beats on both "
        "counts; each is named with its batch size."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a VALID trial; `front` marks those on the Pareto front of their panel."""
        labels = Labels(scores)
        valid = [s for s in scores if s.verdict is Verdict.VALID and s.images_per_s and s.latency_p50_s]
        if not valid:
            return Empty("No valid trial has both a throughput and a latency.")
        named = _front_labels(valid, labels)
        rows, note = first_panels(_with_a_choice([_row(s, labels, named) for s in valid]))
        if not rows:
            return Empty("No network has a choice of configurations.", expected=False)
        bound_s = run.header.latency_bound_s
        if bound_s:
            rows = tuple({**row, "bound_ms": rounded(1e3 * bound_s)} for row in rows)
            note = f"{note} The dotted line is the latency bound.".strip()
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


def _with_a_choice(rows: Sequence[Row]) -> list[Row]:
    """The rows of panels with enough points for a chart to say more than the answer does."""
    count = Counter(row["panel"] for row in rows)
    return [row for row in rows if count[row["panel"]] >= FEWEST]


def _front_labels(valid: Sequence[Score], labels: Labels) -> dict[str, str]:
    """The trials on a front, each with its name where that changes along the front.

    Along a dense front each name stands once.
    """
    named: dict[str, str] = {}
    for _, members in by_question(valid):
        front = pareto(members)
        told: list[str] = []
        for score in front:
            series = labels.series(score)
            named[score.trial] = "" if series in (told if len(front) > DENSE else told[-1:]) else series
            told.append(series)
    return named


def _row(score: Score, labels: Labels, named: Mapping[str, str]) -> Row:
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
        "front": score.trial in named,
        "label": named.get(score.trial, ""),
        "full": f"{labels.series(score)}, {score.batch_size}",
    }


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        front = [r["full"] for r in rows if r["panel"] == panel and r["front"]]
        parts.append(f"{panel}: {'; '.join(front[:4])}{' and more' if len(front) > 4 else ''}")
    return f"On the front (configuration, batch size): {'. '.join(parts)}."


def _panel(
    alt: Any,
    rows: Sequence[Row],
    engines: dict[str, list[str]],
    shapes: dict[str, list[str]],
    name: str,
) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    waits = [r["latency_ms"] for r in mine]
    domain, ticks = log_axis(min(waits), max(waits))
    x = alt.X(
        "latency_ms:Q",
        title="median latency, ms",
        scale=alt.Scale(type="log", nice=False, domain=domain),
        axis=alt.Axis(values=ticks, grid=False),
    )
    top = 1.22 * max(r["images_per_s"] for r in mine)  # room for the front's labels
    y = alt.Y(
        "images_per_s:Q",
        title="images/s",
        scale=alt.Scale(domain=[0, rounded(top, 3)], nice=False),
        axis=alt.Axis(tickCount=5),
    )
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x, y=y)
    front = base.transform_filter(alt.datum.front)
    tip = tooltips(
        alt,
        full="configuration, batch",
        images_per_s="images/s #",
        latency_ms="median latency, ms #",
        front="on the front",
    )
    points = configuration_points(alt, base, engines, shapes, tip)
    line = front.mark_line(interpolate="step-after", strokeWidth=1.2, style="plain")
    dense = sum(r["front"] for r in mine) > DENSE
    names = front.mark_text(
        align="left", style="value", **({"dx": 9, "dy": 11} if dense else {"dx": -4, "dy": -30})
    )
    sizes = front.mark_text(dy=-11, style="soft").encode(text="batch:N")
    layers = [line, points, names.encode(text="label:N"), sizes]
    bound = mine[0].get("bound_ms")
    if bound and domain[0] < bound < domain[1]:
        layers.insert(0, mark_value(alt, name, "x", bound))
    return layered(*layers, width=SHAPE.width, height=260, title=name)


MEMBER = Pareto()
