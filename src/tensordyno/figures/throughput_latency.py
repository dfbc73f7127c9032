"""Throughput and latency against batch size on twin axes, one panel a network and precision."""

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
    log_axis,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale
from tensordyno.store.reader import Run
from tensordyno.units import significant

SHAPE = Shape(columns=2, width=330, margin=132, pick="engine")


class ThroughputLatency(Figure):
    """What a larger batch buys in throughput and costs in latency."""

    title = "Throughput and latency against batch size"
    how_to_read = (
        "Solid lines and the left axis are images per second (higher is better); dashed lines and the "
        "right axis are the median time of one batch (lower is better, logarithmic). Bars are 95 % intervals."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a measured trial, for panels with at least two batch sizes."""
        labels = Labels(scores)
        rows = [_row(s, labels) for s in scores if s.verdict.is_measured and s.images_per_s]
        sizes: dict[str, set[int]] = {}
        for row in rows:
            sizes.setdefault(row["panel"], set()).add(row["batch"])
        rows = [row for row in rows if len(sizes[row["panel"]]) > 1]
        if not rows:
            return Empty("No network was measured at two or more batch sizes.")
        kept, note = first_panels(rows, "panels (network and precision)")
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
        scale = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        draw = partial(_panel, alt, data.rows, scale)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _row(score: Score, labels: Labels) -> Row:
    speed = score.images_per_s
    latency = score.latency_p50_s
    assert speed is not None
    return {
        "panel": f"{labels.panel(score)}, {score.precision}",
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
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
        best = max((r for r in rows if r["panel"] == panel), key=lambda r: r["images_per_s"])
        speed = significant(best["images_per_s"])
        sentences.append(f"{panel}: at most {speed} images/s, {best['engine']} at batch {best['batch']}")
    return "; ".join(sentences) + "."


def _panel(alt: Any, rows: Sequence[Row], scale: dict[str, list[str]], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    x = alt.X(
        "batch:Q",
        title="batch size",
        scale=alt.Scale(type="log", base=2, nice=False, padding=14),
        axis=alt.Axis(values=sorted({r["batch"] for r in mine}), format="d", grid=False),
    )
    base = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter(alt.datum.panel == name)
        .encode(x=x, color=alt.Color("engine:N", title=None, scale=alt.Scale(**scale)))
        .encode(opacity=when_picked(alt))
    )
    left = alt.Y("images_per_s:Q", title="images/s", scale=alt.Scale(zero=True), axis=_axis(alt, "left"))
    low = alt.Y("low:Q", title="images/s", axis=_axis(alt, "left"))
    speed = (
        base.mark_line(strokeWidth=2).encode(y=left),
        base.mark_rule(strokeWidth=1.5).encode(y=low, y2="high:Q"),
        base.mark_point(filled=True, size=55).encode(y=left, tooltip=_tooltip(alt)),
    )
    waits = [r["latency_ms"] for r in mine if r["latency_ms"]] or [1.0]
    domain, ticks = log_axis(min(waits), max(waits), 1.25)
    span = alt.Scale(type="log", nice=False, domain=domain)
    right = alt.Y("latency_ms:Q", title="latency, ms (dashed)", scale=span, axis=_axis(alt, "right", ticks))
    wait = base.mark_line(strokeWidth=1.5, strokeDash=[4, 3]).encode(y=right)
    return layered(*speed, wait, width=SHAPE.width, height=230, title=name, twin=True)


def _tooltip(alt: Any) -> list[Any]:
    return tooltips(
        alt,
        engine="engine",
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
