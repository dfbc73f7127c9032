"""Each device's own throughput in trials that ran on several, relative to the mean of all of them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from tensordyno.analysis.ratio import is_kept
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
    first_panels,
    layered,
    mark_value,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import throughput_interval
from tensordyno.units import significant

SHAPE = Shape(columns=2, width=330, margin=76, pick="engine")
LEAST = 2.0  # per cent that the axis shows on either side: smaller differences look small


class DeviceConsistency(Figure):
    """Whether devices that should be alike are."""

    title = "Each device by itself"
    how_to_read = (
        "One point a device and configuration, measured at the same time: how much more or less it did than "
        "the mean of all of them, the dashed line. Bars are 95 % intervals."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a device of each configuration, at the most devices and the fastest batch size there."""
        if not any(s.devices > 1 for s in scores):
            return Empty("No trial was to run on several devices.", expected=False)
        labels = Labels([replace(s, devices=1) for s in scores])
        outcomes = {o.trial.id: o for o in run.outcomes}
        rows = [row for s in _chosen(scores, labels) for row in _rows(s, outcomes[s.trial], labels)]
        if not rows:
            return Empty("No trial on several devices was measured.")
        order = in_order(r["panel"] for r in rows)
        kept, note = first_panels(sorted(rows, key=lambda r: order.index(r["panel"])), "networks")
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch a device",
            "device": "Device",
            "images_per_s": "Images/s",
            "low": "95 % from",
            "high": "to",
            "relative": "Off the mean, %",
        }
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note)

    def chart(self, data: FigureData) -> Spec:
        """Points with intervals, configurations side by side at each device."""
        alt = altair()
        engines = engine_scale([(r["engine"], r["engine_name"]) for r in data.rows])
        shapes = precision_scale([r["precision"] for r in data.rows])
        draw = partial(_panel, alt, data.rows, engines, shapes)
        spec = arrange(build_panels(panel_names(data.rows), draw), data.rows, SHAPE, self.title)
        return beside_each_other(spec)


def _chosen(scores: Sequence[Score], labels: Labels) -> list[Score]:
    """One trial a configuration: of those on most devices the fastest."""
    found: dict[tuple[str, str], Score] = {}
    for score in scores:
        if score.verdict.is_measured and score.images_per_s and len(score.images_per_s_per_device) > 1:
            named = labels.panel(replace(score, devices=1)), labels.series(score)
            found[named] = max(found.get(named, score), score, key=_reach)
    return list(found.values())


def _reach(score: Score) -> tuple[int, float]:
    return score.devices, score.images_per_s.value if score.images_per_s else 0.0


def _rows(score: Score, outcome: Outcome, labels: Labels) -> list[Row]:
    rates = score.images_per_s_per_device
    mean = sum(rates) / len(rates)
    names = _names(outcome, len(rates))
    return [_row(score, outcome, labels, index, names[index], mean) for index in range(len(rates))]


def _row(score: Score, outcome: Outcome, labels: Labels, index: int, name: str, mean: float) -> Row:
    parts = [burst.ranks[index] for burst in outcome.bursts if is_kept(burst)]
    found = throughput_interval([p.images for p in parts], [p.stop_s - p.start_s for p in parts])
    rate = score.images_per_s_per_device[index]
    doubt = (found.high - found.low) / 2 if found and found.is_bounded else None
    return {
        "panel": f"{labels.panel(replace(score, devices=1))}, {score.devices} devices",
        "series": labels.series(score),
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "batch": score.batch_size,
        "device": name,
        "images_per_s": rounded(rate),
        "low": None if doubt is None else rounded(rate - doubt),
        "high": None if doubt is None else rounded(rate + doubt),
        "relative": _off(rate, mean),
        "from": _off(rate - doubt, mean) if doubt is not None else None,
        "until": _off(rate + doubt, mean) if doubt is not None else None,
    }


def _off(rate: float, mean: float) -> float:
    return round(100 * (rate / mean - 1), 3)


def _names(outcome: Outcome, count: int) -> list[str]:
    """cuda:0, cuda:1 and so on; ranks on shares of one CPU have numbers."""
    names = [rank.device for rank in outcome.ranks]
    return names if len(set(names)) == count else [f"rank {index}" for index in range(count)]


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        mine = [r for r in rows if r["panel"] == panel]
        groups = [[r for r in mine if r["series"] == name] for name in in_order(r["series"] for r in mine)]
        widest = max(groups, key=_gap)
        fastest, slowest = (pick(widest, key=lambda r: r["images_per_s"]) for pick in (max, min))
        parts.append(
            f"{panel}: at most {_gap(widest):.1f} % apart, {widest[0]['series']}, {fastest['device']} at "
            f"{significant(fastest['images_per_s'])} images/s and {slowest['device']} at "
            f"{significant(slowest['images_per_s'])}"
        )
    return ". ".join(parts) + "."


def _gap(rows: Sequence[Row]) -> float:
    """Fastest over slowest, minus 1, in per cent."""
    rates = [r["images_per_s"] for r in rows]
    return 100 * (max(rates) / min(rates) - 1) if min(rates) > 0 else 100.0


def _panel(
    alt: Any, rows: Sequence[Row], engines: dict[str, list[str]], shapes: dict[str, list[str]], name: str
) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    values = [r[key] for r in mine for key in ("relative", "from", "until") if r[key] is not None]
    room = rounded(max(LEAST, 1.15 * max(map(abs, values))), 2)
    y = alt.Y(
        "relative:Q",
        title=None,
        scale=alt.Scale(domain=[-(room or LEAST), room], nice=False),
        axis=alt.Axis(tickCount=5, labelExpr="(datum.value > 0 ? '+' : '') + datum.value + ' %'"),
    )
    x = alt.X("device:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, grid=False))
    beside = alt.XOffset("series:N", scale=alt.Scale(domain=in_order(r["series"] for r in mine)))
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name)
    base = base.encode(x=x, xOffset=beside)
    seen = base.encode(
        color=alt.Color("engine:N", title=None, scale=alt.Scale(**engines)), opacity=when_picked(alt)
    )
    tip = tooltips(
        alt,
        series="configuration",
        batch="batch a device",
        device="device",
        images_per_s="images/s #",
        relative="off the mean, % #",
    )
    doubt = seen.mark_rule(strokeWidth=1.5).encode(y=alt.Y("from:Q", title=None), y2="until:Q")
    points = seen.mark_point(filled=True, size=70).encode(
        y=y, shape=alt.Shape("precision:N", title=None, scale=alt.Scale(**shapes)), tooltip=tip
    )
    mean = mark_value(alt, name, "y", 0.0, title=None)
    return layered(doubt, points, mean, width=SHAPE.width, height=190, title=name)


MEMBER = DeviceConsistency()
