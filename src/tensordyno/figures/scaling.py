"""Throughput and efficiency against the number of devices, two panels a network."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    beside_each_other,
    build_panels,
    configuration_points,
    first_panels,
    layered,
    mark_value,
    panel_names,
    rounded,
    spread,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run

SHAPE = Shape(columns=2, width=330, margin=104, pick="engine")
HEIGHT = 220
NEAR = 0.075  # of the axis: labels closer than this would collide
ROOM = 1.08  # above the highest value


class Scaling(Figure):
    """What a second and a fourth device buy."""

    title = "Throughput on several devices"
    how_to_read = (
        "Left, all devices together: the dashed lines are one device's throughput times their number. Right, "
        "the share of it that was reached. The batch size is that of one device, so twice the devices have "
        "twice the work. Bars are 95 % intervals."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a measured trial of each configuration's best batch size, by number of devices."""
        if not any(s.devices > 1 for s in scores):
            return Empty("No trial was to run on several devices.", expected=False)
        labels = Labels([replace(s, devices=1) for s in scores])
        rows = [row for members in series(scores, labels) for row in _rows(members, labels)]
        if not rows:
            return Empty("No configuration was measured with two different numbers of devices.")
        order = in_order(r["panel"] for r in rows)
        kept, note = first_panels(sorted(rows, key=lambda r: order.index(r["panel"])), "networks")
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch a device",
            "devices": "Devices",
            "images_per_s": "Images/s",
            "low": "95 % from",
            "high": "to",
            "speedup": "Speed-up",
            "efficiency": "Efficiency, %",
            "efficiency_low": "95 % from ",
            "efficiency_high": "to ",
            "verdict": "Verdict",
        }
        named = f"Each configuration at its fastest batch size. {note}".strip()
        return FigureData(rows=_labelled(kept), columns=columns, finding=_finding(kept), note=named)

    def chart(self, data: FigureData) -> Spec:
        """Throughput from zero on the left, efficiency around 100 % on the right, for each network."""
        alt = altair()
        engines = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        shapes = precision_scale([r["precision"] for r in data.rows])
        names = panel_names(data.rows)
        sides = [
            build_panels(names, partial(draw, alt, data.rows, engines, shapes)) for draw in (_rates, _shares)
        ]
        panels = [panel for both in zip(*sides, strict=True) for panel in both]
        return beside_each_other(arrange(panels, data.rows, SHAPE, self.title))


def series(scores: Sequence[Score], labels: Labels) -> list[list[Score]]:
    """Measured trials that differ in nothing but the number of devices, at least two each, fewest first.

    Of the batch sizes of a configuration, the one with most numbers of devices, and of these the fastest
    on most devices.
    """
    found: dict[tuple[str, str], dict[int, list[Score]]] = {}
    for score in scores:
        if score.verdict.is_measured and score.images_per_s:
            named = labels.panel(replace(score, devices=1)), labels.series(score)
            found.setdefault(named, {}).setdefault(score.batch_size, []).append(score)
    best = (max(sizes.values(), key=_reach) for sizes in found.values())
    return [sorted(members, key=lambda s: s.devices) for members in best if _reach(members)[0] > 1]


def _reach(members: Sequence[Score]) -> tuple[int, float]:
    most = max(members, key=lambda s: s.devices)
    assert most.images_per_s is not None
    return len({s.devices for s in members}), most.images_per_s.value


def _rows(members: Sequence[Score], labels: Labels) -> list[Row]:
    first = members[0].images_per_s
    assert first is not None
    alone = first.value if members[0].devices == 1 else None
    return [_row(score, alone, labels) for score in members]


def _row(score: Score, alone: float | None, labels: Labels) -> Row:
    rate, share = score.images_per_s, score.scaling_efficiency
    assert rate is not None
    single = score.devices == 1
    return {
        "panel": labels.panel(replace(score, devices=1)),
        "series": labels.series(score),
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "batch": score.batch_size,
        "devices": score.devices,
        "images_per_s": rounded(rate.value),
        "low": rounded(rate.low),
        "high": rounded(rate.high),
        "ideal": rounded(alone * score.devices) if alone else None,
        "speedup": 1.0 if single else rounded(score.speedup.value) if score.speedup else None,
        "efficiency": 100.0 if single else rounded(100 * share.value) if share else None,
        "efficiency_low": rounded(100 * share.low) if share else None,
        "efficiency_high": rounded(100 * share.high) if share else None,
        "verdict": score.verdict.value,
    }


def _labelled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with `label`, the speed-up at a line's end, and `label_y`, where it hits no other's."""
    ends = {(r["panel"], r["series"]): r for r in sorted(rows, key=lambda r: r["devices"])}
    places: dict[int, float] = {}
    for panel in panel_names(rows):
        mine = [r for (at, _), r in ends.items() if at == panel and r["speedup"] is not None]
        apart = NEAR * _top([r for r in rows if r["panel"] == panel])
        heights = spread([r["images_per_s"] for r in mine], apart)
        places.update((id(row), height) for row, height in zip(mine, heights, strict=True))
    return tuple(
        {
            **row,
            "label": f"{row['speedup']:.2f}×" if id(row) in places else "",
            "label_y": rounded(places.get(id(row), row["images_per_s"])),
        }
        for row in rows
    )


def _top(rows: Sequence[Row]) -> float:
    """Where the axis of throughput ends."""
    values = [float(r[key]) for r in rows for key in ("images_per_s", "high", "ideal") if r[key]]
    return ROOM * max(values)


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    """The axis of efficiency: at least 80 to 105 %, in steps of five."""
    values = [r[key] for r in rows for key in ("efficiency", "efficiency_low", "efficiency_high")]
    known = [value for value in values if value is not None] or [100.0]
    low = min(80.0, 5.0 * math.floor((min(known) - 2) / 5))
    return max(0.0, low), max(105.0, 5.0 * math.ceil((max(known) + 2) / 5))


def _finding(rows: Sequence[Row]) -> str:
    known = [r for r in rows if r["devices"] > 1 and r["efficiency"] is not None]
    if not known:
        return "No configuration was measured on one device alone, so there is no speed-up."
    most = max(r["devices"] for r in known)
    last = sorted((r for r in known if r["devices"] == most), key=lambda r: r["efficiency"])
    ends = [last[-1], last[0]] if len(last) > 1 else last
    parts = [f"{r['efficiency']:.1f} %{_doubt(r)}, {r['series']} on {r['panel']}" for r in ends]
    return f"On {most} devices the efficiency is {'; the lowest is '.join(parts)}."


def _doubt(row: Row) -> str:
    if row["efficiency_low"] is None:
        return ""
    return f" ({row['efficiency_low']:.1f}-{row['efficiency_high']:.1f})"


def _rates(
    alt: Any, rows: Sequence[Row], engines: dict[str, list[str]], shapes: dict[str, list[str]], name: str
) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    x = alt.X(
        "devices:Q",
        title="devices",
        scale=alt.Scale(zero=False, nice=False, padding=14),
        axis=alt.Axis(values=sorted({r["devices"] for r in mine}), format="d", grid=False),
    )
    y = alt.Y(
        "images_per_s:Q",
        title=None,
        scale=alt.Scale(domain=[0, rounded(_top(mine), 3)], nice=False),
        axis=alt.Axis(tickCount=5, format="~s"),
    )
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(x=x)
    colour = alt.Color("engine:N", title=None, scale=alt.Scale(**engines))
    ideal = base.mark_line(strokeWidth=1, strokeDash=[3, 3], opacity=0.7).encode(
        y=alt.Y("ideal:Q", title=None), detail="series:N", color=colour
    )
    words = base.mark_text(align="left", dx=9, style="value").encode(
        y=alt.Y("label_y:Q", title=None), text="label:N"
    )
    lines = base.mark_line(strokeWidth=2).encode(
        y=y, detail="series:N", color=colour, opacity=when_picked(alt)
    )
    marks = _marks(alt, base, y, ("low", "high"), engines, shapes)
    return layered(lines, *marks, ideal, words, width=SHAPE.width, height=HEIGHT, title=f"{name}: images/s")


def _shares(
    alt: Any, rows: Sequence[Row], engines: dict[str, list[str]], shapes: dict[str, list[str]], name: str
) -> Spec:
    """Configurations side by side, since good ones all lie near the top; one device is its own ideal."""
    mine = [r for r in rows if r["panel"] == name]
    x = alt.X("devices:O", title="devices", axis=alt.Axis(labelAngle=0, grid=False))
    y = alt.Y(
        "efficiency:Q",
        title=None,
        scale=alt.Scale(domain=list(_span(mine)), nice=False, zero=False),
        axis=alt.Axis(tickCount=5, labelExpr="datum.value + ' %'"),
    )
    beside = alt.XOffset("series:N", scale=alt.Scale(domain=in_order(r["series"] for r in mine)))
    several = (alt.datum.panel == name) & (alt.datum.devices > 1)
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(several)
    doubt = ("efficiency_low", "efficiency_high")
    marks = _marks(alt, base.encode(x=x, xOffset=beside), y, doubt, engines, shapes)
    full = mark_value(alt, name, "y", 100.0, title=None)
    return layered(*marks, full, width=SHAPE.width, height=HEIGHT, title=f"{name}: efficiency")


def _marks(
    alt: Any,
    base: Any,
    y: Any,
    doubt: tuple[str, str],
    engines: dict[str, list[str]],
    shapes: dict[str, list[str]],
) -> tuple[Any, ...]:
    """Intervals and points."""
    colour = alt.Color("engine:N", title=None, scale=alt.Scale(**engines))
    seen = base.encode(color=colour, opacity=when_picked(alt), detail="series:N")
    tip = tooltips(
        alt,
        series="configuration",
        batch="batch a device",
        devices="devices",
        images_per_s="images/s #",
        speedup="speed-up #",
        efficiency="efficiency, % #",
        verdict="verdict",
    )
    low, high = doubt
    return (
        seen.mark_rule(strokeWidth=1.5).encode(y=alt.Y(f"{low}:Q", title=None), y2=f"{high}:Q"),
        configuration_points(alt, base.encode(y=y), engines, shapes, tip),
    )


MEMBER = Scaling()
