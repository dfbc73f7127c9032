"""What the machine did while it was measured: activities of each engine, load, memory and power over time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.activities import activities
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    layered,
    tooltips,
    when_picked,
)
from tensordyno.figures.strips import Strip, readings, strips
from tensordyno.figures.style import PHASE_COLOURS
from tensordyno.store.reader import Run
from tensordyno.units import significant

SHAPE = Shape(columns=1, width=800, margin=170, pick="phase")
LANES = "Activity"


class TelemetryTimeline(Figure):
    """Whether anything besides the engines explains the numbers."""

    title = "The run over time"
    how_to_read = (
        "Above, what each engine did when: one lane an engine, bursts interleaved. Below, on the same "
        "time axis, what the sensors read: the line is the mean of each moment, the band its extremes."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """Rows of two kinds: activities (`lane`), and thinned readings (`strip`)."""
        done, note = activities(run)
        found = strips(run)
        if not done and not found:
            return Empty("Neither activities nor readings were recorded.")
        rows = [row for strip in found for row in readings(strip, run.header.clock_start_s)]
        columns = {
            "strip": "Sensor",
            "device": "Device",
            "mean": "Mean",
            "low": "Lowest",
            "high": "Highest",
            "unit": "Unit",
        }
        table = tuple(strip.summary() for strip in found)
        return FigureData(
            rows=(*done, *rows), table=table, columns=columns, finding=_finding(found), note=note
        )

    def chart(self, data: FigureData) -> Spec:
        """Lanes over strips with one time axis."""
        alt = altair()
        times = [r[key] for r in data.rows for key in ("start", "stop", "time") if key in r]
        domain = [0, max(times, default=1.0)]
        lanes = in_order(r["lane"] for r in data.rows if "lane" in r)
        names = in_order(r["strip"] for r in data.rows if "strip" in r)
        phases = [p for p in PHASE_COLOURS if any(r.get("phase") == p for r in data.rows)]
        panels = build_panels([LANES] if lanes else [], lambda _: _lanes(alt, lanes, phases, domain))
        panels += build_panels(names, partial(_strip, alt, data.rows, domain, names[-1:]))
        spec = arrange(panels, data.rows, SHAPE, self.title)
        if not lanes:
            del spec["params"]  # nothing to pick
        return spec


def _finding(found: Sequence[Strip]) -> str:
    if not found:
        return "No sensor could be read."
    parts = [f"{s.title} {significant(s.mean)} {s.unit} on average" for s in found[:4]]
    return "; ".join(parts) + "."


def _time(alt: Any, field: str, domain: Sequence[float], title: str | None = None) -> Any:
    scale = alt.Scale(domain=list(domain), nice=False)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(grid=False, tickCount=8))


def _lanes(alt: Any, lanes: Sequence[str], phases: Sequence[str], domain: Sequence[float]) -> Spec:
    colours = alt.Scale(domain=list(phases), range=[PHASE_COLOURS[p] for p in phases])
    tip = tooltips(alt, trial="trial", phase="activity", start="from, s #", stop="to, s #")
    axis = alt.Axis(labelLimit=150, minExtent=150, domain=False, ticks=False)
    bars = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter("isValid(datum.lane)")
        .mark_bar(height={"band": 0.72})
        .encode(
            x=_time(alt, "start", domain),
            x2="stop:Q",
            y=alt.Y("lane:N", sort=list(lanes), title=None, axis=axis),
            color=alt.Color("phase:N", title=None, scale=colours),
            opacity=when_picked(alt),
            tooltip=tip,
        )
    )
    return layered(bars, width=SHAPE.width, height={"step": 20}, title=LANES)


def _strip(alt: Any, rows: Sequence[Row], domain: Sequence[float], last: Sequence[str], name: str) -> Spec:
    mine = [r for r in rows if r.get("strip") == name]
    devices = in_order(r["device"] for r in mine)
    unit = mine[0]["unit"]
    title = "seconds since the start" if name in last else None
    bounded = {"domain": [0, 100]} if unit == "%" else {"zero": True}
    axis = alt.Axis(tickCount=3, minExtent=150)
    base = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter(alt.datum.strip == name)
        .encode(x=_time(alt, "time", domain, title))
    )
    if len(devices) > 1:
        base = base.encode(detail="device:N")
    tip = tooltips(alt, device="device", time="s #", mean=f"mean, {unit} #", low="lowest #", high="highest #")
    y = alt.Y("low:Q", title=None, scale=alt.Scale(**bounded), axis=axis)
    band = base.mark_area(opacity=0.22, color=PHASE_COLOURS["load"]).encode(y=y, y2="high:Q")
    line = base.mark_line(strokeWidth=1.4, color=PHASE_COLOURS["load"]).encode(
        y=alt.Y("mean:Q", title=None), tooltip=tip
    )
    return layered(band, line, width=SHAPE.width, height=70, title=f"{name}, {unit}")


MEMBER = TelemetryTimeline()
