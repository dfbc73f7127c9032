"""Accuracy lost to INT8 against the number of calibration images, method by method."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order, points
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    first_panels,
    layered,
    log_axis,
    mark_value,
    panel_names,
    rounded,
    spread,
    tooltips,
)
from tensordyno.figures.style import method_colour
from tensordyno.store.reader import Run

SHAPE = Shape(columns=2, width=270, margin=150)
HEIGHT = 230
SIGNED = "+.2~f"
LABEL_APART = 14 / HEIGHT  # of the axis: one line of text
ASIDE = 1.05  # factor between neighbouring methods on the axis of images


class Point(NamedTuple):
    """One calibration and what it cost: INT8 minus FP32 in points of top-1."""

    place: str  # network, and engine where several were studied
    method: str
    images: int
    batch: int
    seed: int
    points: float


class CalibrationStudy(Figure):
    """How many images a calibration needs, by which method, and whether anything else matters."""

    title = "Accuracy against calibration images"
    how_to_read = (
        "Higher is better: the dashed line is FP32, and −0.1 points are one image in a thousand answered "
        "wrong. Lines join the means of a method; small dots are single draws of images (seeds), set a "
        "little apart sideways."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """Rows of two kinds: single calibrations (`points`) and the mean over their seeds (`mean`)."""
        found = sorted(set(_points(scores, Labels(scores))))
        if len({p[1:5] for p in found}) < 2:
            return Empty("Fewer than two calibrations were tried on labelled images.", expected=False)
        batches: dict[str, set[int]] = {}
        for point in found:
            batches.setdefault(point.place, set()).add(point.batch)
        rows, note = first_panels(_rows(found, {place for place in batches if len(batches[place]) > 1}))
        columns = {
            "panel": "Network, images read at a time",
            "method": "Method",
            "images": "Calibration images",
            "seeds": "Draws",
            "mean": "INT8 − FP32, points of top-1",
            "least": "Lowest",
            "most": "Highest",
        }
        table = tuple(r for r in rows if "mean" in r)
        return FigureData(rows=rows, table=table, columns=columns, finding=_finding(found), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Lines of means with their ranges, over the dots of the single draws."""
        alt = altair()
        draw = partial(_panel, alt, data.rows)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _points(scores: Sequence[Score], labels: Labels) -> Iterable[Point]:
    """One an INT8 trial whose answers could be compared with those of FP32 on the same images."""
    studied = [s for s in scores if s.top1_difference and s.calibration_images]
    engines = in_order(labels.engine(s) for s in studied)
    for score in studied:
        assert score.top1_difference is not None
        engine = f", {labels.engine(score)}" if len(engines) > 1 else ""
        yield Point(
            place=labels.panel(score) + engine,
            method=score.calibration_method,
            images=score.calibration_images or 0,
            batch=score.calibration_batch or 0,
            seed=score.calibration_seed or 0,
            points=round(100 * score.top1_difference.value, 4),
        )


def _rows(found: Sequence[Point], faceted: set[str]) -> list[Row]:
    """Panels in alphabetical order; in each, means before the draws they are of."""
    rows: list[Row] = []
    for (place, method, images, batch), draws in groupby(
        sorted(found, key=lambda p: (p.place, p.batch, p.method, p.images)),
        key=lambda p: (p.place, p.method, p.images, p.batch),
    ):
        values = {p.seed: p.points for p in draws}
        panel = f"{place}, {batch} at a time" if place in faceted else place
        row: Row = {"panel": panel, "method": method, "images": images}
        mean = sum(values.values()) / len(values)
        ends = {"least": min(values.values()), "most": max(values.values()), "seeds": len(values)}
        rows.append({**row, "mean": rounded(mean), **ends})
        if len(values) > 1:
            rows += [{**row, "seed": seed, "points": value} for seed, value in sorted(values.items())]
    return _with_labels(_aside(rows))


def _aside(rows: Sequence[Row]) -> list[Row]:
    """Each row with `at`: its images, moved a little so that methods do not hide each other."""
    methods = sorted({row["method"] for row in rows})
    middle = (len(methods) - 1) / 2
    return [
        {**row, "at": rounded(row["images"] * ASIDE ** (methods.index(row["method"]) - middle))}
        for row in rows
    ]


def _with_labels(rows: Sequence[Row]) -> list[Row]:
    """Each line's last mean carries the method's name, at a height where names do not collide."""
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        if "mean" in row:
            last[row["panel"], row["method"]] = row
    places: dict[int, float] = {}
    for panel in panel_names(rows):
        ends = [row for (name, _), row in last.items() if name == panel]
        low, high = _domain(rows)
        apart = LABEL_APART * (high - low)
        places.update((id(r), y) for r, y in zip(ends, spread([r["mean"] for r in ends], apart), strict=True))
    return [
        {**row, "label": row["method"], "label_at": rounded(places[id(row)])} if id(row) in places else row
        for row in rows
    ]


def _domain(rows: Sequence[Row]) -> list[float]:
    """Points of top-1 with FP32 inside; the same for all panels, so that they can be compared."""
    values = [r[key] for r in rows for key in ("least", "most") if key in r]
    low, high = min(0.0, *values), max(0.0, *values)
    room = max(0.12 * (high - low), 0.05)
    return [round(low - room, 3), round(high + room, 3)]


def _finding(found: Sequence[Point]) -> str:
    """Per network the best method at its most images, then what the batch size changes."""
    parts = []
    for place in in_order(p.place for p in found)[:4]:
        mine = [p for p in found if p.place == place]
        images = max(p.images for p in mine)
        means = {
            method: _mean([p.points for p in mine if p.method == method and p.images == images])
            for method in in_order(p.method for p in mine if p.images == images)
        }
        best = max(means, key=means.__getitem__)
        worst = min(means, key=means.__getitem__)
        text = f"{place}: with {images:,} images {best} changes top-1 by {points(means[best] / 100)} points"
        parts.append(text + (f", {worst} by {points(means[worst] / 100)}" if worst != best else ""))
    return f"{'; '.join(parts)}.{_batches(found)}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _batches(found: Sequence[Point]) -> str:
    """What the number of images read at a time changes when everything else is equal."""
    alike: dict[tuple[object, ...], dict[int, float]] = {}
    for p in found:
        alike.setdefault((p.place, p.method, p.images, p.seed), {})[p.batch] = p.points
    spans = [max(v.values()) - min(v.values()) for v in alike.values() if len(v) > 1]
    if not spans:
        return ""
    if max(spans) == 0:
        return " How many images are read at a time makes no difference at equal images."
    return (
        f" How many images are read at a time makes a difference of at most {max(spans):.2f} points "
        "at equal images."
    )


def _panel(alt: Any, rows: Sequence[Row], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    methods = sorted({r["method"] for r in rows})
    counts = sorted({r["images"] for r in mine})
    domain, _ = log_axis(counts[0], counts[-1], 1.25)
    x = alt.X(
        "at:Q",
        title="calibration images",
        scale=alt.Scale(type="log", nice=False, domain=domain),
        axis=alt.Axis(values=counts, grid=False, format=",d", labelOverlap="greedy"),
    )
    y = alt.Y(
        "mean:Q",
        title="INT8 − FP32, points",
        scale=alt.Scale(domain=_domain(rows), nice=False, zero=False),
        axis=alt.Axis(tickCount=5, labelExpr=f"datum.value == 0 ? 'FP32' : format(datum.value, '{SIGNED}')"),
    )
    colours = alt.Scale(domain=methods, range=[method_colour(m) for m in methods])
    base = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter(alt.datum.panel == name)
        .encode(x=x, color=alt.Color("method:N", scale=colours, legend=None))
    )
    tip = tooltips(
        alt,
        method="method",
        images="calibration images",
        seeds="draws",
        mean="INT8 − FP32, points",
        least="lowest",
        most="highest",
    )
    plain = {"title": "INT8 − FP32, points"}
    meant = base.transform_filter("isValid(datum.mean)")
    lines = meant.mark_line(strokeWidth=1.8).encode(y=y)
    spans = meant.mark_rule(strokeWidth=1.5, opacity=0.5).encode(y=alt.Y("least:Q", **plain), y2="most:Q")
    draws = (
        base.transform_filter("isValid(datum.points)")
        .mark_point(filled=True, size=16, opacity=0.55)
        .encode(y=alt.Y("points:Q", **plain))
    )
    means = meant.mark_point(filled=True, size=50, opacity=1).encode(y=y, tooltip=tip)
    names = (
        base.transform_filter("isValid(datum.label)")
        .mark_text(align="left", dx=9, fontSize=11)
        .encode(y=alt.Y("label_at:Q", **plain), text="label:N")
    )
    zero = mark_value(alt, name, "y", 0.0, **plain)
    return layered(zero, lines, spans, draws, means, names, width=SHAPE.width, height=HEIGHT, title=name)


MEMBER = CalibrationStudy()
