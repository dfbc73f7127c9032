"""Images a second a watt and energy of an image, by network and precision; where it can, against batch size.

After NVIDIA, "GPU-Based Deep Learning Inference: A Performance and Power Analysis" (2015), which compares
processors by images/s/W. That is the same as images a joule.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Empty, Figure, FigureData, Row, Spec
from tensordyno.figures.energy_bars import HOW_TO_READ, bar_chart, bars
from tensordyno.figures.labels import Labels
from tensordyno.figures.panels import (
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
)
from tensordyno.figures.sweeps import HEIGHT, PICK, Sweep, identity, swept
from tensordyno.store.reader import Run
from tensordyno.units import significant, with_unit

SHAPE = Shape(columns=2, width=350, margin=78, pick=PICK)


class Efficiency(Figure):
    """What a joule buys."""

    title = "Throughput a watt and energy of an image"
    how_to_read = (
        "Left, images a second for each watt drawn (higher is better), which is images a joule; right, the "
        "energy of one image (lower is better, logarithmic). Dashed is the energy without what the device "
        "draws when idle."
    )

    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """One row a measured trial whose energy is known, of panels with lines if there are any."""
        known = [s for s in scores if s.is_timed and s.joules_per_image]
        labels = Labels(known)  # what has no energy needs no name here
        rows = [_row(s, labels) for s in known]
        if not rows:
            return Empty("No trial's energy is known.", expected=False)
        lines = swept(rows)
        kept, note = first_panels([r for r in rows if r["panel"] in lines]) if lines else bars(rows)
        columns = {
            "panel": "Network",
            "series": "Configuration",
            "batch": "Batch",
            "images_per_joule": "Images/s/W",
            "millijoules": "mJ an image",
            "net_millijoules": "Without idle power",
            "power_w": "Power, W",
            "method": "Energy by",
        }
        how = "" if lines else HOW_TO_READ
        return FigureData(rows=kept, columns=columns, finding=_finding(kept), note=note, how_to_read=how)

    def chart(self, data: FigureData) -> Spec:
        """For each network a panel of throughput a watt and one of energy an image; or bars for all."""
        alt = altair()
        if not swept(data.rows):
            return bar_chart(data.rows, _tooltip(alt), self.title)
        sweep = Sweep(alt, data.rows)
        names = panel_names(data.rows)
        left = build_panels(names, partial(_per_watt, sweep))
        right = build_panels(names, partial(_per_image, sweep))
        both = [panel for pair in zip(left, right, strict=True) for panel in pair]
        return arrange(both, data.rows, SHAPE, self.title)


def _row(score: Score, labels: Labels) -> Row:
    joules, net = score.joules_per_image, score.net_joules_per_image
    assert joules
    return {
        **identity(score, labels),
        "images_per_joule": rounded(score.images_per_joule or 1 / joules),
        "millijoules": rounded(1e3 * joules),
        "net_millijoules": None if net is None else rounded(1e3 * net),
        "power_w": rounded(score.power_w, 4),
        "images_per_s": rounded(score.images_per_s.value) if score.images_per_s else None,
        "method": score.energy_method,
    }


def _finding(rows: Sequence[Row]) -> str:
    parts = []
    for panel in panel_names(rows)[:4]:
        best = max((r for r in rows if r["panel"] == panel), key=lambda r: r["images_per_joule"])
        energy = with_unit(best["millijoules"] / 1e3, "J")
        reached = f"{significant(best['images_per_joule'])} images/s/W, {energy} an image"
        parts.append(f"{panel}: at best {reached}, {best['series']} at batch {best['batch']:,}")
    return f"{'; '.join(parts)}."


def _per_watt(sweep: Sweep, name: str) -> Spec:
    alt = sweep.alt
    y = alt.Y("images_per_joule:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    parts = sweep.line(sweep.base(name, "isValid(datum.images_per_joule)"), y, _tooltip(alt))
    return layered(*parts, width=SHAPE.width, height=HEIGHT, title=f"{name}: images/s/W")


def _per_image(sweep: Sweep, name: str) -> Spec:
    alt = sweep.alt
    mine = [r for r in sweep.rows if r["panel"] == name]
    known = [r[key] for r in mine for key in ("millijoules", "net_millijoules") if r[key] and r[key] > 0]
    domain, ticks = log_axis(min(known), max(known), 1.25)
    scale = alt.Scale(type="log", nice=False, domain=domain)
    axis = alt.Axis(values=ticks, format=",~g")
    y, net_y = (
        alt.Y(f"{f}:Q", title=None, scale=scale, axis=axis) for f in ("millijoules", "net_millijoules")
    )
    parts = sweep.line(sweep.base(name, "isValid(datum.millijoules)"), y, _tooltip(alt))
    net = sweep.base(name, "datum.net_millijoules > 0")
    return layered(
        *sweep.line(net, net_y, [], dashed=True),
        *parts,
        width=SHAPE.width,
        height=HEIGHT,
        title=f"{name}: mJ an image",
    )


def _tooltip(alt: Any) -> list[Any]:
    return tooltips(
        alt,
        series="configuration",
        batch="batch size",
        images_per_joule="images/s/W #",
        millijoules="mJ an image #",
        net_millijoules="without idle power, mJ #",
        power_w="power, W #",
        images_per_s="images/s #",
        method="energy by",
    )


MEMBER = Efficiency()
