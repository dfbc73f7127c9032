"""What the machine did while it was measured: activities of each engine, load, memory and power over time."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.activities import activities, purposes
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
from tensordyno.figures.strips import Strip, limits, readings, strips
from tensordyno.figures.style import DEVICE_COLOURS, PHASE_COLOURS
from tensordyno.store.reader import Run
from tensordyno.units import significant

SHAPE = Shape(columns=1, width=800, margin=170, pick="phase")
LANES = "Activity"
_TOLD = ("GPU utilisation", "GPU power", "GPU memory used", "CPU utilisation", "Memory used", "Power")


class TelemetryTimeline(Figure):
    """Whether anything besides the engines explains the numbers."""

    title = "The run over time"
    how_to_read = (
        "Above, what each engine did when: one lane an engine, bursts interleaved. Below, on the same time "
        "axis, what the sensors read: a line is the mean of each moment, the band its extremes, a dashed "
        "line the limit set in the driver. The shading says what the run was doing."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """Rows of four kinds: activities (`lane`), what the run did (`shaded`), thinned readings, limits."""
        done, left_out = activities(run)
        found, unseen = strips(run)
        if not done and not found:
            return Empty("Neither activities nor readings were recorded.")
        seen = [*purposes(run), *readings(found, run.header.clock_start_s), *limits(run)] if found else []
        columns = {
            "strip": "Sensor",
            "device": "Device",
            "mean": "Mean",
            "low": "Lowest",
            "high": "Highest",
            "unit": "Unit",
        }
        return FigureData(
            rows=(*done, *seen),
            table=tuple(strip.summary() for strip in found),
            columns=columns,
            finding=_finding(found),
            note=f"{left_out} {unseen}".strip(),
        )

    def chart(self, data: FigureData) -> Spec:
        """Lanes over strips with one time axis."""
        alt = altair()
        times = [t for r in data.rows for key in ("stop", "time") for t in r.get(key, ())]
        domain = [0, max(times, default=1.0)]
        lanes = in_order(r["lane"] for r in data.rows if "lane" in r)
        names = in_order(r["strip"] for r in data.rows if "device" in r)
        phases = [p for p in PHASE_COLOURS if any(r.get("phase") == p for r in data.rows)]
        colours = alt.Scale(domain=phases, range=[PHASE_COLOURS[p] for p in phases])
        panels = build_panels([LANES] if lanes else [], lambda _: _lanes(alt, lanes, colours, domain))
        panels += build_panels(names, partial(_strip, alt, data.rows, colours, domain, names[-1:]))
        spec = arrange(panels, data.rows, SHAPE, self.title)
        if not lanes:
            del spec["params"]  # nothing to pick
        return spec


def _finding(found: Sequence[Strip]) -> str:
    if not found:
        return "No sensor could be read."
    present = {strip.title for strip in found}
    told = [title for title in _TOLD if title in present][:4] or in_order(s.title for s in found)[:4]
    parts = [_on_average([s for s in found if s.title == title]) for title in told]
    return "; ".join(parts) + "."


def _on_average(devices: Sequence[Strip]) -> str:
    first, means = devices[0], sorted(significant(s.mean) for s in devices)
    low, high = min(devices, key=lambda s: s.mean).mean, max(devices, key=lambda s: s.mean).mean
    value = significant(low) if len(set(means)) == 1 else f"{significant(low)} to {significant(high)}"
    of = f" ({first.device} to {devices[-1].device})" if len(devices) > 1 else ""
    return f"{first.title}{of} {value} {first.unit} on average"


def _time(alt: Any, field: str, domain: Sequence[float], title: str | None = None) -> Any:
    scale = alt.Scale(domain=list(domain), nice=False)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(grid=False, tickCount=8))


def _rows(alt: Any, which: str, *lists: str) -> Any:
    """A chart of the rows for which an expression is true, with their lists unfolded."""
    chart = alt.Chart(alt.NamedData(name=DATA)).transform_filter(which)
    return chart.transform_flatten(list(lists)) if lists else chart


def _lanes(alt: Any, lanes: Sequence[str], colours: Any, domain: Sequence[float]) -> Spec:
    tip = tooltips(alt, trial="trial", phase="activity", start="from, s #", stop="to, s #")
    axis = alt.Axis(labelLimit=150, minExtent=150, domain=False, ticks=False)
    bars = (
        _rows(alt, "isValid(datum.lane)", "start", "stop")
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


def _strip(
    alt: Any, rows: Sequence[Row], colours: Any, domain: Sequence[float], last: Sequence[str], name: str
) -> Spec:
    mine = [r for r in rows if r.get("strip") == name and "device" in r]
    unit = mine[0]["unit"]
    title = "seconds since the start" if name in last else None
    scale = alt.Scale(domain=[0, 100]) if unit == "%" else alt.Scale(zero=True)
    y = {"title": None, "scale": scale, "axis": alt.Axis(tickCount=3, minExtent=150)}
    parts = [_shading(alt, colours, domain)] if any("shaded" in r for r in rows) else []
    lists = ("time", "mean", *(("low", "high") if "low" in mine[0] else ()))
    base = _rows(alt, f"datum.strip === {name!r} && isValid(datum.time)", *lists)
    base = base.encode(x=_time(alt, "time", domain, title), tooltip=tooltips(alt, device="device"))
    stroke, fill = _device_colours(alt, rows, [r["device"] for r in mine])
    if "low" in mine[0]:
        area = base.mark_area(opacity=0.22, stroke=None)
        parts.append(area.encode(y=alt.Y("low:Q", **y), y2="high:Q", fill=fill))
    parts.append(base.mark_line(strokeWidth=1.4).encode(y=alt.Y("mean:Q", **y), stroke=stroke))
    if any(r.get("strip") == name and "limit" in r for r in rows):
        allowed = _rows(alt, f"datum.strip === {name!r} && isValid(datum.limit)")
        tip = tooltips(alt, limit=f"limit, {unit} #")
        parts.append(allowed.mark_rule(style="reference").encode(y=alt.Y("limit:Q", **y), tooltip=tip))
    return layered(*parts, width=SHAPE.width, height=70, title=f"{name}, {unit}")


def _shading(alt: Any, colours: Any, domain: Sequence[float]) -> Any:
    """What the run was doing, over the whole height of a strip."""
    return (
        _rows(alt, "datum.shaded", "start", "stop")
        .mark_rect(opacity=0.16)
        .encode(
            x=_time(alt, "start", domain),
            x2="stop:Q",
            color=alt.Color("phase:N", title=None, scale=colours),
            tooltip=tooltips(alt, phase="activity", start="from, s #", stop="to, s #"),
        )
    )


def _device_colours(alt: Any, rows: Iterable[Row], devices: Sequence[str]) -> tuple[Any, Any]:
    """Stroke and fill: one colour where a strip has one device, one each where it has several.

    Not the `color` channel, whose scale and legend are the phases'.
    """
    by_strip: dict[str, list[str]] = {}
    for row in rows:
        if "device" in row:
            by_strip.setdefault(row["strip"], []).append(row["device"])
    several = in_order(d for found in by_strip.values() if len(found) > 1 for d in found)
    if len(devices) == 1:
        return alt.value(PHASE_COLOURS["load"]), alt.value(PHASE_COLOURS["load"])
    scale = alt.Scale(domain=several, range=[*DEVICE_COLOURS[: len(several)]])
    # Both have the legend: they merge into one, and one without takes the other's away.
    named = {"title": None, "scale": scale, "legend": alt.Legend(symbolOpacity=1)}
    return alt.Stroke("device:N", **named), alt.Fill("device:N", **named)


MEMBER = TelemetryTimeline()
