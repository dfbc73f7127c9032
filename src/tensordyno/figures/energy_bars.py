"""Energy of an image as bars, where a run has one batch size a build and so no line to draw."""

from collections.abc import Sequence
from typing import Any

from tensordyno.figures.base import Row, Spec
from tensordyno.figures.labels import in_order
from tensordyno.figures.panels import (
    DATA,
    Shape,
    altair,
    arrange,
    build_panels,
    layered,
    rounded,
    when_picked,
)
from tensordyno.figures.style import precision_colours
from tensordyno.figures.sweeps import PICK
from tensordyno.units import significant

MOST_BARS = 40
SHAPE = Shape(columns=1, width=480, margin=300, pick=PICK)
ROOM = 1.75  # for the words behind the longest bar
HOW_TO_READ = (
    "Energy of one image (shorter is better); the pale end of a bar is what the devices would draw in the "
    "same time when idle. Behind it the images a second for each watt drawn, which is images a joule (more "
    "is better)."
)


def bars(rows: Sequence[Row]) -> tuple[tuple[Row, ...], str]:
    """The first rows with `bar`, its name, and `words`, what is written behind it; and what is left out."""
    alike = len({row["batch"] for row in rows}) == 1
    order = in_order(row["panel"] for row in rows)
    ordered = sorted(rows, key=lambda r: order.index(r["panel"]))
    left_out = max(0, len(rows) - MOST_BARS)
    note = f"Showing the first {MOST_BARS} of {len(rows)} builds; all are in trials.csv." if left_out else ""
    return tuple({**row, "bar": _name(row, alike), "words": _words(row)} for row in ordered[:MOST_BARS]), note


def bar_chart(rows: Sequence[Row], tip: list[Any], title: str) -> Spec:
    """One bar a build: all its energy, and before it what is left without idle power."""
    alt = altair()
    colour = alt.Color(
        "precision:N",
        title=None,
        scale=alt.Scale(**precision_colours(in_order(r["precision"] for r in rows))),
        legend=alt.Legend(symbolOpacity=1),
    )
    top = rounded(ROOM * max(r["millijoules"] for r in rows), 3)
    base = alt.Chart(alt.NamedData(name=DATA)).encode(
        y=alt.Y("bar:N", sort=[r["bar"] for r in rows], title=None, axis=alt.Axis(labelLimit=290)),
    )
    scale = alt.Scale(domain=[0, top], nice=False)
    x, net = (
        alt.X(f"{f}:Q", title="mJ an image", scale=scale, axis=alt.Axis(tickCount=6))
        for f in ("millijoules", "net_millijoules")
    )
    shown = {"color": colour, "opacity": when_picked(alt), "tooltip": tip}
    whole = base.mark_bar(height={"band": 0.62}).encode(x=x, **{**shown, "opacity": when_picked(alt, 0.4)})
    parts = [whole, base.mark_text(align="left", dx=6, style="value").encode(x=x, text="words:N")]
    if any(r["net_millijoules"] is not None for r in rows):
        spent = base.transform_filter("datum.net_millijoules > 0").mark_bar(height={"band": 0.62})
        parts.insert(1, spent.encode(x=net, **shown))

    def draw(name: str) -> Spec:
        return layered(*parts, width=SHAPE.width, height={"step": 21}, title=name)

    return arrange(build_panels(["Energy of an image"], draw), rows, SHAPE, title)


def _name(row: Row, alike: bool) -> str:
    batch = "" if alike else f", batch {row['batch']:,}"
    return f"{row['panel']}: {row['series']}{batch}"


def _words(row: Row) -> str:
    return f"{significant(row['millijoules'])} mJ, {significant(row['images_per_joule'])} images/s/W"
