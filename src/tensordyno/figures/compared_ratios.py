"""Throughput of each device over the first, by network: one panel a precision (and engine)."""

from collections.abc import Iterable, Sequence
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
    mark_value,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.units import significant

SHAPE = Shape(columns=2, width=300, margin=170, pick="side")


class ComparedRatios(ComparedFigure):
    """How much faster the other device runs each network."""

    title = "Throughput over the first device"
    how_to_read = (
        "Longer is faster: 2× does twice the images per second of the first device, the dashed line, with "
        "the same engine, precision and batch size. Thin lines are 95 % intervals of the ratio."
    )

    def data(self, found: DeviceComparison) -> FigureData | Empty:
        """One row a network and side, at the largest batch size that most sides have a ratio for."""
        panels = Panels(found.contests)
        rows = [
            _row(found, contest, side, standing, panels)
            for contest in _largest(found.contests, panels)
            for side, standing in enumerate(contest.standings)
            if standing and standing.ratio
        ]
        if not rows:
            return Empty("No configuration is VALID on two of the devices.")
        order = in_order(r["panel"] for r in rows)
        kept, note = first_panels(sorted(rows, key=lambda r: order.index(r["panel"])), "panels")
        columns = {
            "panel": "Precision",
            "network": "Network",
            "side": "Device",
            "batch": "Batch",
            "ratio": f"Times {found.sides[0].label}",
            "low": "95 % from",
            "high": "to",
            "images_per_s": "Images/s",
            "first": f"Images/s, {found.sides[0].label}",
        }
        note = f"Each network at its largest batch size that both ran; 1× is {found.sides[0].label}. {note}"
        return FigureData(rows=kept, columns=columns, finding=_finding(kept, found), note=note.strip())

    def chart(self, data: FigureData) -> Spec:
        """Bars from zero with the ratio written at the end of each."""
        alt = altair()
        scale = {r["side"]: r["colour"] for r in data.rows}
        colours = {"domain": list(scale), "range": list(scale.values())}
        draw = partial(_panel, alt, data.rows, colours)
        return arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)


def _largest(contests: Iterable[Contest], panels: Panels) -> list[Contest]:
    """Of each network and arithmetic the contest with the most ratios, of these that of the largest batch."""
    found: dict[tuple[str, str], Contest] = {}
    for contest in contests:
        named = panels.network(contest), panels.arithmetic(contest)
        found[named] = max(found.get(named, contest), contest, key=_weight)
    return list(found.values())


def _weight(contest: Contest) -> tuple[int, int]:
    return sum(bool(s and s.ratio) for s in contest.standings), contest.batch_size


def _row(found: DeviceComparison, contest: Contest, side: int, standing: Standing, panels: Panels) -> Row:
    ratio, first = standing.ratio, contest.standings[0]
    assert ratio is not None
    assert first is not None
    scale = side_scale(found)
    return {
        "panel": panels.arithmetic(contest),
        "network": panels.network(contest),
        "side": found.sides[side].label,
        "colour": scale["range"][side],
        "batch": contest.batch_size,
        "ratio": rounded(ratio.value),
        "low": rounded(ratio.low),
        "high": rounded(ratio.high),
        "edge": rounded(max(ratio.value, ratio.high)),
        "label": f"{significant(ratio.value)}×",
        "images_per_s": rounded(_rate(standing)),
        "first": rounded(_rate(first)),
    }


def _rate(standing: Standing) -> float | None:
    speed = standing.score.images_per_s
    return speed.value if speed else None


def _finding(rows: Sequence[Row], found: DeviceComparison) -> str:
    parts = []
    for side in in_order(r["side"] for r in rows)[:3]:
        mine = [r for r in rows if r["side"] == side]
        most, least = (pick(mine, key=lambda r: r["ratio"]) for pick in (max, min))
        part = f"{side}: {most['label']} {found.sides[0].label} at most, {_where(most)}"
        if least is not most:
            part += f"; {least['label']} at least, {_where(least)}"
        parts.append(part)
    return ". ".join(parts) + "."


def _where(row: Row) -> str:
    return f"{row['network']} in {row['panel']}"


def _panel(alt: Any, rows: Sequence[Row], colours: dict[str, list[str]], name: str) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    top = rounded(1.22 * max(1.0, *(r["edge"] for r in mine)), 3)  # room for the ratio at the end
    networks = in_order(r["network"] for r in mine)
    y = alt.Y("network:N", sort=networks, title=None, axis=alt.Axis(labelLimit=160))
    x = alt.X(
        "ratio:Q",
        title=None,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(tickCount=4, labelExpr="datum.value + '×'"),
    )
    tip = tooltips(
        alt,
        network="network",
        side="device",
        batch="batch size",
        ratio="times the first #",
        low="95 % from #",
        high="to #",
        images_per_s="images/s #",
    )
    beside = alt.YOffset("side:N", sort=colours["domain"])
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name)
    base = base.encode(y=y, yOffset=beside)
    colour = alt.Color("side:N", title=None, scale=alt.Scale(**colours))
    bars = base.mark_bar(height={"band": 0.8}).encode(
        x=x, color=colour, opacity=when_picked(alt), tooltip=tip
    )
    doubt = base.mark_rule(style="interval").encode(x=alt.X("low:Q", title=None), x2="high:Q")
    end = base.encode(x=alt.X("edge:Q", title=None), text="label:N")
    halo = end.mark_text(align="left", dx=5, style=["value", "halo"])
    text = end.mark_text(align="left", dx=5, style="value")
    line = mark_value(alt, name, "x", 1.0, title=None)
    height = (14 + 14 * len({r["side"] for r in mine})) * len(networks)
    return layered(bars, line, doubt, halo, text, width=SHAPE.width, height=height, title=name)


MEMBER = ComparedRatios()
