"""Operations a second against operations a byte, under the roofs of each device, measured and published."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.roofline import roof, roofs
from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    configuration_points,
    first_panels,
    layered,
    log_axis,
    panel_names,
    rounded,
    tooltips,
    when_picked,
)
from tensordyno.figures.roof_lines import HEIGHT, TERA, roof_lines
from tensordyno.figures.style import engine_scale, precision_scale
from tensordyno.store.reader import Run
from tensordyno.units import significant
from tensordyno.vocabulary import Verdict

SHAPE = Shape(columns=2, width=380, margin=182, pick="engine")
NAMED = 12  # networks above which points bear no names


class Roofline(Figure):
    """What keeps a trial from being faster: arithmetic, memory, or neither."""

    title = "Roofline"
    how_to_read = (
        "Points: operations a second of one device, against the operations that each byte of memory traffic "
        "is good for if every layer reads and writes memory once. Solid roofs were measured in this run "
        "(copy and matrix products), dashed ones are the vendor's. Small points are slower batch sizes."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """A row a VALID trial under a known roof, and a row a corner of each roof, told apart by `kind`."""
        known = {s.device_name: roof(s.device_name) for s in scores if s.device_name} | roofs(run.pages)
        shown = [s for s in scores if s.verdict is Verdict.VALID and s.operations_per_s and s.device_name]
        shown = [s for s in shown if known[s.device_name].matmul or known[s.device_name].peak]
        if not shown:
            return Empty("No ceilings are known of this run's devices.", expected=False)
        shown = [s for s in shown if s.intensity]
        if not shown:
            return Empty("The memory traffic of these networks was not counted.", expected=False)
        shown = _on_fewest(shown)
        best, labels = _best(shown), Labels(scores)
        points, note = first_panels([_point(s, labels, s.trial in best) for s in shown], "devices")
        lines = [line for name in panel_names(points) for line in roof_lines(known[name], _of(points, name))]
        return FigureData(
            rows=(*_named(points), *lines),
            columns={
                "panel": "Device",
                "full": "Network and configuration",
                "batch": "Batch",
                "intensity": "Operations a byte",
                "tops": "T op/s",
                "of_ceiling": "% of measured",
                "of_peak": "% of published",
            },
            finding=_finding(points),
            note=note,
            table=tuple(row for row in points if row["best"]),
        )  # fmt: skip

    def chart(self, data: FigureData) -> Spec:
        """Roofs behind, points in front."""
        alt = altair()
        points = [r for r in data.rows if r["kind"] == "point"]
        engines = engine_scale([(r["engine"], r["engine_name"]) for r in points])
        shapes = precision_scale([r["precision"] for r in points])
        draw = partial(_panel, alt, data.rows, engines, shapes)
        return arrange(build_panels(panel_names(points), draw), data.rows, SHAPE, self.title)


def _on_fewest(scores: Sequence[Score]) -> list[Score]:
    """Of each device the trials on as few of it as there are: more would be the same points again."""
    fewest: dict[str, int] = {}
    for s in scores:
        fewest[s.device_name] = min(s.devices, fewest.get(s.device_name, s.devices))
    return [s for s in scores if s.devices == fewest[s.device_name]]


def _best(scores: Iterable[Score]) -> frozenset[str]:
    """The trials whose batch size is the fastest of otherwise equal ones."""
    fastest: dict[tuple[Any, ...], Score] = {}
    for s in scores:
        build = s.model, s.dataset, s.engine, s.precision, s.boundary, s.device_name, s.allocator
        if build not in fastest or _rate(s) > _rate(fastest[build]):
            fastest[build] = s
    return frozenset(s.trial for s in fastest.values())


def _rate(score: Score) -> float:
    """Operations a second of one device."""
    return (score.operations_per_s or 0.0) / score.devices


def _point(score: Score, labels: Labels, best: bool) -> Row:
    return {
        "kind": "point",
        "panel": score.device_name,
        "engine": labels.engine(score),
        "engine_name": score.engine_name,
        "precision": score.precision,
        "batch": score.batch_size,
        "model": score.model,
        "full": f"{labels.panel(score)}, {labels.series(score)}",
        "short": f"{score.model}, {labels.series(score)}",
        "intensity": rounded(score.intensity, 4),
        "tops": rounded(_rate(score) / TERA, 4),
        "of_ceiling": _percent(score.ceiling_share),
        "of_peak": _percent(score.peak_share),
        "best": best,
        "label": "",
    }


def _percent(share: float | None) -> float | None:
    return rounded(None if share is None else 100 * share, 3)


def _named(points: Sequence[Row]) -> list[Row]:
    """The highest point of each network bears its name, unless there are too many."""
    if len({row["model"] for row in points}) > NAMED:
        return list(points)
    highest: dict[tuple[str, str], Row] = {}
    for row in points:
        key = row["panel"], row["model"]
        if key not in highest or row["tops"] > highest[key]["tops"]:
            highest[key] = row
    return [{**row, "label": row["model"]} if row in highest.values() else row for row in points]


def _of(points: Sequence[Row], panel: str) -> list[Row]:
    return [row for row in points if row["panel"] == panel]


def _finding(points: Sequence[Row]) -> str:
    """The best of each precision on each device."""
    told = []
    for panel in panel_names(points):
        mine = _of(points, panel)
        for precision in in_order(row["precision"] for row in mine):
            best = max((r for r in mine if r["precision"] == precision), key=lambda r: r["tops"])
            which = f"{best['short']}, batch {best['batch']}"
            told.append(f"{panel}: at most {significant(best['tops'])} T op/s ({which}){_shares(best)}")
    return f"{'; '.join(told[:6])}."


def _shares(row: Row) -> str:
    shares = {"measured": row["of_ceiling"], "published": row["of_peak"]}
    known = [f"{significant(share)} % of the {source}" for source, share in shares.items() if share]
    return f", {' and '.join(known)} matrix product rate" if known else ""


def _panel(
    alt: Any, rows: Sequence[Row], engines: dict[str, list[str]], shapes: dict[str, list[str]], name: str
) -> Spec:
    mine = [r for r in rows if r["panel"] == name]
    base = alt.Chart(alt.NamedData(name=DATA)).transform_filter(alt.datum.panel == name).encode(
        x=_axis(alt, "X", "intensity", "operations a byte", mine),
        y=_axis(alt, "Y", "tops", "T op/s", mine),
    )  # fmt: skip

    def of(kind: str) -> Any:
        return base.transform_filter(alt.datum.kind == kind)

    tip = tooltips(
        alt,
        full="configuration",
        batch="batch size",
        tops="T op/s #",
        intensity="operations a byte #",
        of_ceiling="% of measured #",
        of_peak="% of published #",
    )
    best = of("point").transform_filter(alt.datum.best)
    others = of("point").transform_filter(~alt.datum.best).mark_point(filled=True, size=22)
    return layered(
        of("published").mark_line(style="reference", strokeWidth=1).encode(detail="roof:N"),
        of("measured").mark_line(style="plain", strokeWidth=1.6).encode(detail="roof:N"),
        of("label").mark_text(align="left", dx=6, style="soft").encode(text="label:N"),
        others.encode(
            color=alt.Color("engine:N", title=None, scale=alt.Scale(**engines)),
            shape=alt.Shape("precision:N", title=None, scale=alt.Scale(**shapes)),
            opacity=when_picked(alt),
            tooltip=tip,
        ),
        configuration_points(alt, best, engines, shapes, tip),
        best.mark_text(align="left", dx=9, style="value").encode(text="label:N"),
        width=SHAPE.width,
        height=HEIGHT,
        title=name,
    )


def _axis(alt: Any, channel: str, field: str, title: str, rows: Sequence[Row]) -> Any:
    values = [row[field] for row in rows]
    domain, ticks = log_axis(min(values), max(values), 1.0 if channel == "X" else 1.5)
    scale = alt.Scale(type="log", nice=False, domain=domain)
    axis = alt.Axis(values=ticks, grid=channel == "Y")
    return getattr(alt, channel)(f"{field}:Q", title=title, scale=scale, axis=axis)


MEMBER = Roofline()
