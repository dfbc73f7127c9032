"""Time from a bare interpreter to the first result, stacked by what it was spent on."""

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
from tensordyno.figures.style import PHASE_COLOURS
from tensordyno.store.reader import Run
from tensordyno.units import with_unit

SHAPE = Shape(columns=2, width=300, margin=190, pick="step")
STEPS = {
    "import": "import_s",
    "load": "load_s",
    "compile": "compile_s",
    "first inference": "first_inference_s",
}


class FirstInference(Figure):
    """What a user waits for before anything runs at full speed."""

    title = "Time to the first inference"
    how_to_read = (
        "Shorter is better. Each bar adds up importing the engine, loading the model, compiling it and the "
        "first batch, in a fresh process at the smallest batch size."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a configuration and step, the fastest starter of each panel first."""
        labels = Labels(scores)
        built = [s for s in scores if s.time_to_first_inference_s is not None]
        smallest: dict[tuple[str, str], Score] = {}
        for score in sorted(built, key=lambda s: s.batch_size):
            smallest.setdefault((labels.panel(score), labels.series(score)), score)
        if not smallest:
            return Empty("No build was finished.")
        order = in_order(labels.panel(s) for s in built)
        chosen = sorted(
            smallest.items(), key=lambda kv: (order.index(kv[0][0]), kv[1].time_to_first_inference_s)
        )
        rows = [row for (panel, series), score in chosen for row in _rows(panel, series, score)]
        kept, note = first_panels(rows)
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch",
            "step": "Step",
            "seconds": "Seconds",
            "total": "Total, s",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Stacked bars with the total written at their end."""
        alt = altair()
        draw = partial(_panel, alt, data.rows)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _rows(panel: str, series: str, score: Score) -> list[Row]:
    total = score.time_to_first_inference_s
    return [
        {
            "panel": panel,
            "series": series,
            "batch": score.batch_size,
            "step": step,
            "order": number,
            "seconds": rounded(getattr(score, attribute), 4),
            "total": rounded(total, 4),
            "label": with_unit(total or 0.0, "s"),
        }
        for number, (step, attribute) in enumerate(STEPS.items())
    ]


def _finding(rows: Sequence[Row]) -> str:
    first = [r for r in rows if r["panel"] == rows[0]["panel"]]
    quick, slow = first[0], first[-1]
    return (
        f"{quick['panel']}: {quick['series']} answers after {quick['label']}, "
        f"{slow['series']} after {slow['label']}."
    )


def _panel(alt: Any, rows: Sequence[Row], name: str) -> Spec:
    mine = in_order(r["series"] for r in rows if r["panel"] == name)
    domain = list(STEPS)
    scale = alt.Scale(domain=domain, range=[PHASE_COLOURS[step] for step in domain])
    y = alt.Y("series:N", sort=mine, title=None, axis=alt.Axis(labelLimit=200))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(y=y)
    tip = tooltips(alt, series="configuration", step="step", seconds="seconds #", total="total, s #")
    bars = base.mark_bar(height={"band": 0.62}).encode(
        x=alt.X("seconds:Q", title="seconds", stack="zero", axis=alt.Axis(tickCount=5)),
        color=alt.Color("step:N", title=None, scale=scale),
        order=alt.Order("order:Q"),
        opacity=when_picked(alt),
        tooltip=tip,
    )
    totals = (
        base.transform_filter(alt.datum.order == 0)
        .mark_text(align="left", dx=5, style="value")
        .encode(x="total:Q", text="label:N")
    )
    return layered(bars, totals, width=SHAPE.width, height={"step": 24}, title=name)


MEMBER = FirstInference()
