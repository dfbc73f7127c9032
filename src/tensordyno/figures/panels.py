"""Small multiples: choosing panels, naming what was left out, and one finished specification."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensordyno.errors import MissingPackage
from tensordyno.figures.base import Row, Spec

PANEL_LIMIT = 8
DATA = "rows"  # name of the data set inside every specification
PICK = "pick"  # name of the parameter that a click on the legend sets


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How panels are laid out: most columns, width of one plot area and of what stands beside it (px)."""

    columns: int
    width: int
    margin: int
    pick: str = ""  # field that a click on the legend picks out


def altair() -> Any:
    """The altair module. Raises MissingPackage when it is not installed."""
    try:
        import altair
    except ImportError as absent:
        raise MissingPackage("altair", "report") from absent
    return altair


def rounded(value: float | None, digits: int = 5) -> float | None:
    """`value` with that many significant digits: keeps specifications small and repeatable.

    None for what is unknown or refused (NaN): JSON has no other word for it.
    """
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


_FINE = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)  # of a decade


def log_axis(low: float, high: float, room: float = 1.5) -> tuple[list[float], list[float]]:
    """Domain and tick values of a logarithmic axis for positive values from `low` to `high`.

    `room` widens the domain at both ends. Ticks are 1, 2, 5 a decade, whole decades over a long span, and
    more over a short one, which would else have none.
    """
    domain = [low / room, high * room]
    first, last = math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1]))
    steps = (1, 2, 5) if math.log10(domain[1] / domain[0]) < 3 else (1,)
    ticks: list[float] = []
    for wanted in (steps, range(1, 10), _FINE):
        every = (float(f"{m}e{e}") for e in range(first, last + 1) for m in wanted)
        ticks = [t for t in every if domain[0] <= t <= domain[1]]
        if len(ticks) > 1:
            break
    return [float(f"{d:.4g}") for d in domain], ticks


def spread(values: Sequence[float], least: float) -> list[float]:
    """Places for labels that belong beside `values`: as near as can be, at least `least` apart.

    Neighbours that collide share their mean place as a block, from the lowest up.
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    blocks: list[tuple[float, list[int]]] = []  # lowest place of a block, its members
    for i in order:
        low, members = values[i], [i]
        while blocks and blocks[-1][0] + least * len(blocks[-1][1]) > low:
            members = blocks.pop()[1] + members
            low = sum(values[m] - least * n for n, m in enumerate(members)) / len(members)
        blocks.append((low, members))
    places = dict.fromkeys(order, 0.0)
    for low, members in blocks:
        places.update((m, low + least * n) for n, m in enumerate(members))
    return [places[i] for i in range(len(values))]


def first_panels(
    rows: Sequence[Row], kind: str = "panels", *, limit: int = PANEL_LIMIT
) -> tuple[tuple[Row, ...], str]:
    """The rows of the first `limit` panels, and a sentence about the rest (empty if there is none)."""
    names = list(dict.fromkeys(row["panel"] for row in rows))
    if len(names) <= limit:
        return tuple(rows), ""
    shown = set(names[:limit])
    kept = tuple(row for row in rows if row["panel"] in shown)
    return kept, f"Showing the first {limit} of {len(names)} {kind}; all are in trials.csv."


def panel_names(rows: Sequence[Row]) -> list[str]:
    """The panels in the order of the rows."""
    return list(dict.fromkeys(row["panel"] for row in rows))


def layered(*units: Any, width: int, height: Any, title: str, twin: bool = False) -> Spec:
    """Unit charts on top of each other as one titled panel; `twin` gives the last a y axis of its own.

    Composed here and not by Altair, which copies every part once a level and takes seconds for a page.
    """
    layers: list[Spec] = [_bare(unit) for unit in units]
    whole: Spec = {"width": width, "height": height, "title": title}
    if twin:
        layers = [{"layer": layers[:-1]}, layers[-1]]
        whole["resolve"] = {"scale": {"y": "independent"}}
    return {"layer": layers, **whole}


def _bare(unit: Any) -> Spec:
    spec: Spec = unit.to_dict(validate=False)
    for key in ("$schema", "config", "data", "datasets"):
        spec.pop(key, None)
    return spec


def arrange(panels: Sequence[Spec], rows: Sequence[Row], shape: Shape, description: str) -> Spec:
    """Panels side by side as one specification with its data inside.

    The shape travels in `usermeta`, so that a page can refit the same specification to a narrow window.
    Clicking a legend entry picks it out in all panels whose marks test the parameter `pick`.
    """
    columns = min(shape.columns, len(panels))
    spec: Spec = {
        "$schema": altair().SCHEMA_URL,
        "description": description,
        "usermeta": {"columns": columns, "width": shape.width, "margin": shape.margin},
        "data": {"name": DATA},
        "datasets": {DATA: list(rows)},
        "columns": columns,
        "concat": list(panels),
    }
    if shape.pick:
        select = {"type": "point", "fields": [shape.pick]}
        views = [_name_first_view(each, f"panel_{i}") for i, each in enumerate(panels)]
        spec["params"] = [{"name": PICK, "select": select, "bind": "legend", "views": views}]
    return spec


def beside_each_other(spec: Spec) -> Spec:
    """The specification with each panel's own series side by side, not with room for all panels' series."""
    return {**spec, "resolve": {"scale": {"xOffset": "independent"}}}


def _name_first_view(panel: Spec, name: str) -> str:
    while "layer" in panel:
        panel = panel["layer"][0]
    panel["name"] = name
    return name


def when_picked(alt: Any, shown: float = 1.0) -> Any:
    """An opacity that fades whatever the reader did not pick in the legend."""
    return alt.condition(alt.selection_point(name=PICK), alt.value(shown), alt.value(0.1))


def mark_value(alt: Any, name: str, channel: str, value: float, **axis: Any) -> Any:
    """One dashed line across the panel of that name at a value of `channel` ("x" or "y")."""
    once = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter(alt.datum.panel == name)
        .transform_aggregate(rows="count()")
        .transform_calculate(reference=str(value))
    )
    at = getattr(alt, channel.upper())("reference:Q", **axis)
    return once.mark_rule(style="reference").encode(**{channel: at})


def tooltips(alt: Any, **fields: str) -> list[Any]:
    """Tooltip lines from field=title; a title ending in ' #' marks a number shown with three digits."""
    lines = []
    for name, title in fields.items():
        if title.endswith(" #"):
            lines.append(alt.Tooltip(f"{name}:Q", title=title[:-2], format=",.3~r"))
        else:
            lines.append(alt.Tooltip(f"{name}:N", title=title))
    return lines


def configuration_points(
    alt: Any, base: Any, engines: dict[str, list[str]], shapes: dict[str, list[str]], tip: list[Any]
) -> Any:
    """One point a row: the engine is its colour, the precision its shape."""
    return base.mark_point(filled=True, size=80, opacity=1).encode(
        color=alt.Color("engine:N", title=None, scale=alt.Scale(**engines)),
        shape=alt.Shape("precision:N", title=None, scale=alt.Scale(**shapes)),
        opacity=when_picked(alt),
        tooltip=tip,
    )


def build_panels(names: Sequence[str], draw: Callable[[str], Spec]) -> list[Spec]:
    """One panel a name, without checking each piece against the schema (the whole is tested)."""
    from altair.utils import schemapi

    with schemapi.debug_mode(False):
        return [draw(name) for name in names]
