"""Top-1 accuracy with its interval, for every configuration that was tried on labelled images."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

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
    mark_value,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Precision, Task

SHAPE = Shape(columns=2, width=300, margin=250, pick="precision")


class AccuracyDots(Figure):
    """Whether speed was bought with wrong answers."""

    title = "Accuracy on labelled images"
    how_to_read = (
        "Further right is better. Marks are the share of images whose first class is right, bars their 95 % "
        "intervals, the dashed line the best in FP32. In brackets the difference to FP32, in points: on the "
        "same images, hence far surer than the bars."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a configuration (the batch size with the most images), best first in each panel."""
        labels = Labels(scores)
        judged = [s for s in scores if s.top1 is not None]
        if not judged:
            reason = "No network was run on labelled images with trained weights."
            return Empty(reason, expected=any(_is_labelled(s) for s in scores))
        most: dict[tuple[str, str], Score] = {}
        for score in sorted(judged, key=lambda s: (-s.accuracy_images, s.batch_size)):
            most.setdefault((labels.panel(score), labels.series(score)), score)
        order = in_order(labels.panel(s) for s in judged)
        rows = sorted(
            (_row(score, name, labels) for score, name in _named(most.values(), labels)),
            key=lambda r: (order.index(r["panel"]), -r["top1"], r["series"]),
        )
        kept, note = first_panels(rows)
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "top1": "Top-1, %",
            "low": "95 % from",
            "high": "to",
            "difference": "Against FP32, points",
            "images": "Images",
            "calibration": "Calibration",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """A dot and an interval a configuration, on a zoomed axis."""
        alt = altair()
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        shapes = precision_scale([r["precision"] for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale, shapes)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _is_labelled(score: Score) -> bool:
    """Whether a trial was to be run on images whose classes are known."""
    return score.task == Task.ACCURACY or score.dataset != "synthetic"


def _value(score: Score) -> float:
    return score.top1.value if score.top1 else 0.0


def _named(found: Iterable[Score], labels: Labels) -> list[tuple[Score, str]]:
    """The scores to draw, each with what to call it besides its engine and precision.

    Of several calibrations only the best and the worst: the calibration study shows them all.
    """
    alike: dict[tuple[str, str, str], list[Score]] = {}
    for score in sorted(found, key=_value, reverse=True):
        alike.setdefault((labels.panel(score), labels.engine(score), score.precision), []).append(score)
    named: list[tuple[Score, str]] = []
    for group in alike.values():
        count = len(group)
        if count == 1:
            named.append((group[0], ""))
        else:
            named += [(group[0], f", best of {count}"), (group[-1], f", worst of {count}")]
    return named


def _row(score: Score, name: str, labels: Labels) -> Row:
    assert score.top1 is not None
    against = score.top1_difference
    beside = f" ({points(against.value)})" if against else ""
    return {
        "panel": labels.panel(score),
        "series": f"{labels.engine(score)} {score.precision}{name}",
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "top1": rounded(100 * score.top1.value),
        "low": rounded(100 * score.top1.low),
        "high": rounded(100 * score.top1.high),
        "difference": points(against.value) if against else None,
        "images": score.accuracy_images,
        "calibration": labels.calibration(score) or score.calibration_method or None,
        "label": f"{100 * score.top1.value:.2f} %{beside}",
    }


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        mine = [r for r in rows if r["panel"] == panel]
        formats = in_order(r["precision"] for r in mine)
        shares = [f"{f} {_span(r['top1'] for r in mine if r['precision'] == f)}" for f in formats]
        parts.append(f"{panel}: {', '.join(shares)}")
    return "; ".join(parts) + "."


def _span(shares: Iterable[float]) -> str:
    """'90.90 %', or '90.75 to 90.90 %' where configurations differ."""
    low, high = min(found := list(shares)), max(found)
    return f"{high:.2f} %" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f} %"


def _panel(
    alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], shapes: dict[str, list[str]], name: str
) -> Spec:
    panel = [r for r in rows if r["panel"] == name]
    mine = in_order(r["series"] for r in panel)
    y = alt.Y("series:N", sort=mine, title=None, axis=alt.Axis(labelLimit=220, grid=True))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(y=y)
    colour = alt.Color("engine:N", title=None, scale=alt.Scale(**scale), legend=None)
    zoomed = alt.Scale(zero=False, padding=8)
    axis = alt.Axis(tickCount=4, grid=False)
    tip = tooltips(
        alt,
        series="configuration",
        top1="top-1, %",
        low="95 % from",
        high="to",
        difference="against FP32, points",
        images="images",
        calibration="calibration",
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="top-1, %", scale=zoomed, axis=axis),
        x2="high:Q",
        color=colour,
        opacity=when_picked(alt, 0.55),
    )
    marks = base.mark_point(filled=True, size=85).encode(
        x=alt.X("top1:Q", title="top-1, %"),
        color=colour,
        shape=alt.Shape("precision:N", title=None, scale=alt.Scale(**shapes)),
        opacity=when_picked(alt),
        tooltip=tip,
    )
    end = base.encode(x="high:Q", text="label:N")
    halo = end.mark_text(align="left", dx=6, style=["value", "halo"])
    text = end.mark_text(align="left", dx=6, style="value")
    exact = [r["top1"] for r in panel if r["precision"] == Precision.FP32]
    line = (
        [mark_value(alt, name, "x", max(exact), title="top-1, %")]
        if len(exact) < len(panel) and exact
        else []
    )
    return layered(bars, *line, marks, halo, text, width=SHAPE.width, height={"step": 24}, title=name)


MEMBER = AccuracyDots()
