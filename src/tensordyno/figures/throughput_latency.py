"""Throughput and latency against batch size on twin axes, one panel a network and precision.

Where that were too many panels, and few engines, one panel a network with a colour for each precision.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tensordyno.analysis.batch_limits import BatchLimit, batch_limits
from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import (
    DATA,
    PANEL_LIMIT,
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
    when_picked,
)
from tensordyno.figures.style import engine_scale
from tensordyno.figures.sweeps import Sweep, asked_to_sweep, batch_axis, cross, swept
from tensordyno.store.reader import Run
from tensordyno.units import significant

SHAPE = Shape(columns=2, width=330, margin=132, pick="engine")
MOST_ENGINES = 2  # that marks can tell apart beside the precisions


class ThroughputLatency(Figure):
    """What a larger batch buys in throughput and costs in latency."""

    title = "Throughput and latency against batch size"
    how_to_read = (
        "Solid lines and the left axis are images per second (higher is better); dashed lines and the right "
        "axis are the median time of one batch (lower is better, logarithmic). Bars are 95 % intervals; a "
        "cross stands where memory ran out."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a measured trial, for panels with a line to draw; then where memory ran out."""
        labels = Labels(scores)
        measured = [s for s in scores if s.verdict.is_measured and s.images_per_s]
        ends = batch_limits(run, scores)
        apart = _apart(measured, labels)
        rows = [_row(s, labels, apart) for s in measured]
        shown = swept(rows)
        rows = [row for row in rows if row["panel"] in shown]
        if not rows:
            reason = "No network was measured at two or more batch sizes."
            return Empty(reason, expected=asked_to_sweep(scores, labels))
        rows += [row for end in ends if (row := _end(end, labels, apart))["panel"] in shown]
        kept, note = first_panels(rows, "panels (network and precision)" if apart else "networks")
        columns = {
            "panel": "Network, precision",
            "engine": "Engine",
            "batch": "Batch",
            "images_per_s": "Images/s",
            "low": "95 % from",
            "high": "to",
            "latency_ms": "Median latency, ms",
            "verdict": "Verdict",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Two layers with independent axes, repeated for each panel."""
        alt = altair()
        apart = all(r["panel"].endswith(f", {r['precision']}") for r in data.rows)
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        colour = alt.Color("engine:N", title=None, scale=alt.Scale(**scale))
        draw = partial(_panel, Sweep(alt, data.rows), colour if apart else None)
        shape = SHAPE if apart else replace(SHAPE, pick="precision")
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, shape, self.title)


def _apart(measured: Sequence[Score], labels: Labels) -> bool:
    """Whether each precision has panels of its own."""
    engines = {labels.engine(s) for s in measured}
    panels = {(labels.panel(s), s.precision) for s in measured}
    precisions = {s.precision for s in measured}
    return len(panels) <= PANEL_LIMIT or len(engines) > MOST_ENGINES or len(precisions) == 1


def _identity(score: Score, labels: Labels, apart: bool) -> Row:
    panel = labels.panel(score)
    return {
        "panel": f"{panel}, {score.precision}" if apart else panel,
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "series": labels.series(score),
    }


def _end(limit: BatchLimit, labels: Labels, apart: bool) -> Row:
    """Where memory ran out."""
    unknown = dict.fromkeys(("images_per_s", "low", "high", "latency_ms", "latency_low", "latency_high"))
    verdict = limit.score.verdict.value
    return {**_identity(limit.score, labels, apart), "batch": limit.fails, **unknown, "verdict": verdict}


def _row(score: Score, labels: Labels, apart: bool) -> Row:
    speed = score.images_per_s
    latency = score.latency_p50_s
    assert speed is not None
    return {
        **_identity(score, labels, apart),
        "batch": score.batch_size,
        "images_per_s": rounded(speed.value),
        "low": rounded(speed.low),
        "high": rounded(speed.high),
        "latency_ms": rounded(1e3 * latency.value) if latency else None,
        "latency_low": rounded(1e3 * latency.low) if latency else None,
        "latency_high": rounded(1e3 * latency.high) if latency else None,
        "verdict": score.verdict.value,
    }


def _finding(rows: Sequence[Row]) -> str:
    sentences = []
    for panel in in_order(r["panel"] for r in rows)[:4]:
        best = max((r for r in rows if r["panel"] == panel), key=lambda r: r["images_per_s"] or 0.0)
        speed = significant(best["images_per_s"])
        who = best["engine"] if panel.endswith(f", {best['precision']}") else best["series"]
        sentences.append(f"{panel}: at most {speed} images/s, {who} at batch {best['batch']}")
    return "; ".join(sentences) + "."


def _panel(sweep: Sweep, colour: Any, name: str) -> Spec:
    """One panel; `colour` is the engines', or None for a colour a precision and a mark an engine."""
    alt, mine = sweep.alt, [r for r in sweep.rows if r["panel"] == name]
    x = batch_axis(alt, [r["batch"] for r in mine if r["images_per_s"]])
    shared = {"x": x, "opacity": when_picked(alt), "color": colour or sweep.colour()}
    shared |= {} if colour else {"detail": "series:N"}
    chart = alt.Chart(alt.NamedData(name=DATA))
    base = chart.transform_filter(f"datum.panel === {name!r} && isValid(datum.images_per_s)").encode(**shared)
    left = alt.Y("images_per_s:Q", title="images/s", scale=alt.Scale(zero=True), axis=_axis(alt, "left"))
    low = alt.Y("low:Q", title="images/s", axis=_axis(alt, "left"))
    points = base.mark_point(filled=True, size=55).encode(y=left, tooltip=_tooltip(alt))
    speed = [
        base.mark_line(strokeWidth=2).encode(y=left),
        base.mark_rule(strokeWidth=1.5).encode(y=low, y2="high:Q"),
        points if colour else points.encode(**sweep.shape()),
    ]
    if any(r["images_per_s"] is None for r in mine):
        out = chart.transform_filter(f"datum.panel === {name!r} && !isValid(datum.images_per_s)").encode(
            **shared
        )
        speed.append(cross(out, alt.YDatum(0, title="images/s"), _tooltip(alt)))
    waits = [r["latency_ms"] for r in mine if r["latency_ms"]]
    if not waits:  # batches of seconds: too few of them for a median
        return layered(*speed, width=SHAPE.width, height=230, title=name)
    domain, ticks = log_axis(min(waits), max(waits), 1.25)
    span = alt.Scale(type="log", nice=False, domain=domain)
    right = alt.Y("latency_ms:Q", title="latency, ms (dashed)", scale=span, axis=_axis(alt, "right", ticks))
    wait = base.mark_line(strokeWidth=1.5, strokeDash=[4, 3]).encode(y=right)
    return layered(*speed, wait, width=SHAPE.width, height=230, title=name, twin=True)


def _tooltip(alt: Any) -> list[Any]:
    return tooltips(
        alt,
        engine="engine",
        precision="precision",
        batch="batch size",
        images_per_s="images/s #",
        low="95 % from #",
        high="to #",
        latency_ms="median latency, ms #",
        verdict="verdict",
    )


def _axis(alt: Any, side: str, ticks: Sequence[float] | None = None) -> Any:
    """An axis whose title lies flat above it, where it can be read."""
    left = side == "left"
    return alt.Axis(
        orient=side,
        grid=left,
        titleAngle=0,
        titleAlign="left" if left else "right",
        titleAnchor="end",
        titleX=-34 if left else 34,
        titleY=-8,
        labelFlush=False,
        **({"values": list(ticks)} if ticks else {"tickCount": 5}),
    )


MEMBER = ThroughputLatency()
