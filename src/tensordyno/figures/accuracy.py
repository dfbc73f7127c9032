"""Top-1 accuracy with its interval, for every configuration that was tried on labelled images."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    first_panels,
    layered,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run

SHAPE = Shape(columns=2, width=300, margin=240, pick="engine")


class AccuracyDots(Figure):
    """Whether speed was bought with wrong answers."""

    title = "Accuracy on labelled images"
    how_to_read = (
        "Further right is better. Dots are the share of images whose first class is right, bars their 95 % "
        "intervals; where bars overlap widely, these images cannot tell the configurations apart."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a configuration (the batch size with the most images), best first in each panel."""
        labels = Labels(scores)
        judged = [s for s in scores if s.top1 is not None]
        if not judged:
            return Empty("No network was run on labelled images with trained weights.")
        most: dict[tuple[str, str], Score] = {}
        for score in sorted(judged, key=lambda s: (-s.accuracy_images, s.batch_size)):
            most.setdefault((labels.panel(score), labels.series(score)), score)
        order = in_order(labels.panel(s) for s in judged)
        chosen = sorted(most.items(), key=lambda kv: (order.index(kv[0][0]), -_value(kv[1]), kv[0][1]))
        kept, note = first_panels([_row(panel, series, s, labels) for (panel, series), s in chosen])
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "top1": "Top-1, %",
            "low": "95 % from",
            "high": "to",
            "images": "Images",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """A dot and an interval a configuration, on a zoomed axis."""
        alt = altair()
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _value(score: Score) -> float:
    return score.top1.value if score.top1 else 0.0


def _row(panel: str, series: str, score: Score, labels: Labels) -> Row:
    assert score.top1 is not None
    return {
        "panel": panel,
        "series": series,
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "top1": rounded(100 * score.top1.value),
        "low": rounded(100 * score.top1.low),
        "high": rounded(100 * score.top1.high),
        "images": score.accuracy_images,
        "label": f"{100 * score.top1.value:.2f} %",
    }


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        mine = [r for r in rows if r["panel"] == panel]
        if mine[0]["top1"] == mine[-1]["top1"]:
            parts.append(f"{panel}: {mine[0]['label']} for all")
        else:
            parts.append(f"{panel}: from {mine[-1]['label']} to {mine[0]['label']}")
    return "; ".join(parts) + "."


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Spec:
    mine = in_order(r["series"] for r in rows if r["panel"] == name)
    y = alt.Y("series:N", sort=mine, title=None, axis=alt.Axis(labelLimit=220, grid=True))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(y=y)
    colour = alt.Color("engine:N", title=None, scale=alt.Scale(**scale), legend=None)
    zoomed = alt.Scale(zero=False, padding=8)
    tip = tooltips(
        alt, series="configuration", top1="top-1, % #", low="95 % from #", high="to #", images="images"
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="top-1, %", scale=zoomed, axis=alt.Axis(tickCount=5, grid=False)),
        x2="high:Q",
        color=colour,
        opacity=when_picked(alt, 0.55),
    )
    dots = base.mark_point(filled=True, size=85, opacity=1).encode(
        x=alt.X("top1:Q", title="top-1, %"), color=colour, tooltip=tip
    )
    text = base.mark_text(align="left", dx=6, style="value").encode(x="high:Q", text="label:N")
    return layered(bars, dots, text, width=SHAPE.width, height={"step": 24}, title=name)


MEMBER = AccuracyDots()
