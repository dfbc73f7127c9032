"""Which layers suffer most from INT8, each of them alone, and which were kept in FP32 for it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import in_order
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
from tensordyno.figures.style import LAYER_COLOURS
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.store.reader import Run

SHAPE = Shape(columns=2, width=230, margin=220, pick="placed")
MOST_LAYERS = 24
INT8, KEPT = LAYER_COLOURS


class LayerSensitivity(Figure):
    """Where the accuracy is lost."""

    title = "Layers by their sensitivity to INT8"
    how_to_read = (
        "Further left is more sensitive: the signal-to-noise ratio of the network's outputs when that layer "
        "alone is in INT8. Six decibels more are half the error."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a layer, the most sensitive first, for the calibration of each network that ranked most."""
        ranked: dict[str, CalibrationFacts] = {}
        for outcome in run.outcomes:
            facts, model = outcome.calibration, outcome.trial.model
            if facts and len(facts.sensitivity) > len(ranked[model].sensitivity if model in ranked else ()):
                ranked[model] = facts
        if not ranked:
            return Empty("No layer was measured alone.", expected=False)
        rows, note = first_panels([row for model, facts in ranked.items() for row in _rows(model, facts)])
        most = max(len(facts.sensitivity) for facts in ranked.values())
        if most > MOST_LAYERS:
            note = f"{note} Showing the {MOST_LAYERS} most sensitive of up to {most} layers.".strip()
        columns = {
            "panel": "Network",
            "layer": "Layer",
            "op": "Operation",
            "sqnr_db": "SQNR alone in INT8, dB",
            "placed": "Runs in",
            "reason": "Reason",
        }
        return FigureData(rows=rows, columns=columns, finding=_finding(ranked), note=note)

    def chart(self, data: FigureData) -> Spec:
        """A dot a layer with its value, filled for INT8."""
        alt = altair()
        draw = partial(_panel, alt, data.rows)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _rows(model: str, facts: CalibrationFacts) -> list[Row]:
    return [
        {
            "panel": model,
            "layer": layer.name,
            "op": layer.op,
            "sqnr_db": rounded(layer.sqnr_db, 4),
            "placed": INT8 if layer.int8 else KEPT,
            "reason": layer.reason,
            "label": f"{layer.sqnr_db:.1f} dB" + ("" if layer.int8 else ", kept in FP32"),
        }
        for layer in facts.sensitivity[:MOST_LAYERS]
        if layer.sqnr_db is not None
    ]


def _finding(ranked: dict[str, CalibrationFacts]) -> str:
    parts = []
    for model, facts in list(ranked.items())[:4]:
        worst = facts.sensitivity[0]
        kept = sum(not layer.int8 for layer in facts.sensitivity)
        text = f"{model}: {worst.name} is the most sensitive ({worst.sqnr_db:.1f} dB)"
        parts.append(f"{text}; {kept or 'none'} of {len(facts.sensitivity)} kept in FP32")
    return ". ".join(parts) + "."


def _panel(alt: Any, rows: Sequence[Row], name: str) -> Spec:
    mine = in_order(r["layer"] for r in rows if r["panel"] == name)
    y = alt.Y("layer:N", sort=mine, title=None, axis=alt.Axis(labelLimit=150, grid=True))
    x = alt.X(
        "sqnr_db:Q",
        title="SQNR of the outputs, dB",
        scale=alt.Scale(zero=False, padding=10),
        axis=alt.Axis(tickCount=5, grid=False),
    )
    places = {"domain": list(LAYER_COLOURS), "range": list(LAYER_COLOURS.values())}
    marks = {"domain": list(LAYER_COLOURS), "range": ["circle", "diamond"]}
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x, y=y)
    tip = tooltips(
        alt, layer="layer", op="operation", sqnr_db="SQNR, dB #", placed="runs in", reason="reason"
    )
    dots = base.mark_point(filled=True, size=75).encode(
        color=alt.Color("placed:N", title=None, scale=alt.Scale(**places)),
        shape=alt.Shape("placed:N", title=None, scale=alt.Scale(**marks)),
        opacity=when_picked(alt),
        tooltip=tip,
    )
    text = base.mark_text(align="left", dx=8, style="value").encode(text="label:N")
    return layered(dots, text, width=SHAPE.width, height={"step": 19}, title=name)


MEMBER = LayerSensitivity()
