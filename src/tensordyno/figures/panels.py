"""Small multiples: choosing panels, naming what was left out, and one finished specification."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensordyno.errors import MissingPackage
from tensordyno.figures.base import Row, Spec

PANEL_LIMIT = 12
SERIES_LIMIT = 16
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
    """`value` with that many significant digits: keeps specifications small and repeatable."""
    return None if value is None else float(f"{value:.{digits}g}")


def first_panels(
    rows: Sequence[Row], kind: str = "models", *, limit: int = PANEL_LIMIT
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


def arrange(panels: Sequence[Any], rows: Sequence[Row], shape: Shape, description: str) -> Spec:
    """Panels side by side as one specification with its data inside.

    The shape travels in `usermeta`, so that a page can refit the same specification to a narrow window.
    Clicking a legend entry picks it out in all panels whose marks test the parameter `pick`.
    """
    alt = altair()
    columns = min(shape.columns, len(panels))
    chart = alt.concat(*panels, data=alt.NamedData(name=DATA), columns=columns)
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    spec["datasets"] = {DATA: list(rows)}
    spec["usermeta"] = {"columns": columns, "width": shape.width, "margin": shape.margin}
    spec["description"] = description
    if shape.pick:
        select = {"type": "point", "fields": [shape.pick]}
        views = [_name_first_view(panel, f"panel_{i}") for i, panel in enumerate(spec["concat"])]
        spec["params"] = [{"name": PICK, "select": select, "bind": "legend", "views": views}]
    return spec


def _name_first_view(panel: Spec, name: str) -> str:
    while "layer" in panel:
        panel = panel["layer"][0]
    panel["name"] = name
    return name


def when_picked(alt: Any, shown: float = 1.0) -> Any:
    """An opacity that fades whatever the reader did not pick in the legend."""
    return alt.condition(alt.selection_point(name=PICK), alt.value(shown), alt.value(0.1))


def tooltips(alt: Any, **fields: str) -> list[Any]:
    """Tooltip lines from field=title; a title ending in ' #' marks a number shown with three digits."""
    lines = []
    for name, title in fields.items():
        if title.endswith(" #"):
            lines.append(alt.Tooltip(f"{name}:Q", title=title[:-2], format=",.3~r"))
        else:
            lines.append(alt.Tooltip(f"{name}:N", title=title))
    return lines


def build_panels(names: Sequence[str], draw: Callable[[str], Any]) -> list[Any]:
    """One chart a panel, without checking each piece against the schema (the whole is tested)."""
    from altair.utils import schemapi

    with schemapi.debug_mode(False):
        return [draw(name) for name in names]


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move values apart until neighbours are at least `gap` apart, keeping their order and centre.

    Used for labels at line ends. Returns the new values in the order given.
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    moved = list(positions)
    for _ in range(50):
        clash = False
        for low, high in zip(order, order[1:], strict=False):
            lack = gap - (moved[high] - moved[low])
            if lack > gap * 1e-6:
                moved[low] -= lack / 2
                moved[high] += lack / 2
                clash = True
        if not clash:
            break
    return moved
