"""Throughput against batch size, a line a device: one panel a network and precision (and engine)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.compare_devices import Contest, DeviceComparison, Standing
from tensordyno.figures.base import Empty, FigureData, Row, Spec
from tensordyno.figures.compared import ComparedFigure, Panels, side_scale
from tensordyno.figures.labels import in_order
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
from tensordyno.units import significant

SHAPE = Shape(columns=2, width=350, margin=90, pick="side")
MOST_PANELS = 12


class ComparedBatches(ComparedFigure):
    """Where a larger device pays: often only with a larger batch."""

    title = "Throughput against batch size, by device"
    how_to_read = (
        "Images per second: higher is faster. The axis is logarithmic, so that the same distance is the same "
        "ratio everywhere. Bars are 95 % intervals."
    )

    def data(self, found: DeviceComparison) -> FigureData | Empty:
        """One row a measured trial that is on two sides, for panels with at least two batch sizes."""
        panels = Panels(found.contests)
        rows = [
            _row(found, contest, side, standing, panels)
            for contest in found.contests
            for side, standing in enumerate(contest.standings)
            if standing and standing.score.verdict.is_measured and standing.score.images_per_s
        ]
        sizes: dict[str, set[int]] = {}
        for row in rows:
            sizes.setdefault(row["panel"], set()).add(row["batch"])
        order = in_order(r["panel"] for r in rows)
        drawn = sorted(
            (r for r in rows if len(sizes[r["panel"]]) > 1),
            key=lambda r: (order.index(r["panel"]), r["batch"]),
        )
        if not drawn:
            return Empty("No network was measured at two or more batch sizes.", expected=False)
        kept, note = first_panels(drawn, "panels", limit=MOST_PANELS)
        columns = {
            "panel": "Network, precision",
            "side": "Device",
            "batch": "Batch",
            "images_per_s": "Images/s",
            "low": "95 % from",
            "high": "to",
            "latency_ms": "Median latency, ms",
            "verdict": "Verdict",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Lines on logarithmic axes."""
        alt = altair()
        scale = {r["side"]: r["colour"] for r in data.rows}
        colours = {"domain": list(scale), "range": list(scale.values())}
        draw = partial(_panel, alt, data.rows, colours)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _row(found: DeviceComparison, contest: Contest, side: int, standing: Standing, panels: Panels) -> Row:
    speed, wait = standing.score.images_per_s, standing.score.latency_p50_s
    assert speed is not None
    return {
        "panel": f"{panels.network(contest)}, {panels.arithmetic(contest)}",
        "side": found.sides[side].label,
        "colour": side_scale(found)["range"][side],
        "batch": contest.batch_size,
        "images_per_s": rounded(speed.value),
        "low": rounded(speed.low),
        "high": rounded(speed.high),
        "latency_ms": rounded(1e3 * wait.value) if wait else None,
        "verdict": standing.score.verdict.value,
    }


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        mine = [r for r in rows if r["panel"] == panel]
        tops = [
            max((r for r in mine if r["side"] == side), key=lambda r: r["images_per_s"])
            for side in in_order(r["side"] for r in mine)
        ]
        told = (f"{r['side']} {significant(r['images_per_s'])} images/s at batch {r['batch']}" for r in tops)
        parts.append(f"{panel}: at most {', '.join(told)}")
    return ". ".join(parts) + "."


def _panel(alt: Any, rows: Sequence[Row], colours: dict[str, list[str]], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    x = alt.X(
        "batch:Q",
        title="batch size",
        scale=alt.Scale(type="log", base=2, nice=False, padding=14),
        axis=alt.Axis(values=sorted({r["batch"] for r in mine}), format="d", grid=False, labelOverlap=True),
    )
    speeds = [r["images_per_s"] for r in mine]
    domain, ticks = log_axis(min(speeds), max(speeds))
    y = alt.Y(
        "images_per_s:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False, domain=domain),
        axis=alt.Axis(values=ticks, format="~s"),
    )
    colour = alt.Color("side:N", title=None, scale=alt.Scale(**colours))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x)
    seen = base.encode(color=colour, opacity=when_picked(alt))
    tip = tooltips(
        alt,
        side="device",
        batch="batch size",
        images_per_s="images/s #",
        low="95 % from #",
        high="to #",
        latency_ms="median latency, ms #",
        verdict="verdict",
    )
    return layered(
        seen.mark_line(strokeWidth=2).encode(y=y),
        seen.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        seen.mark_point(filled=True, size=55).encode(y=y, tooltip=tip),
        width=SHAPE.width,
        height=220,
        title=name,
    )


MEMBER = ComparedBatches()
