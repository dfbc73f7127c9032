"""Figures made ready for a report: specification, words and files, each drawn once."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.errors import MissingPackage
from tensordyno.figures.base import Chart, Empty, FigureData, Spec, figure
from tensordyno.figures.style import config
from tensordyno.store.reader import Run
from tensordyno.store.writer import write_whole

VEGA_LITE = "6.4"  # what the specifications are written for; vl-convert bundles it
PNG_SCALE = 2.0
TABLE_LIMIT = 200  # rows of the table beside a chart


@dataclass(frozen=True)
class Drawing:
    """One figure of a report; without a `spec` there was nothing to draw, for the `reason` given."""

    name: str
    title: str
    how_to_read: str
    spec: Spec | None = None
    reason: str = ""
    finding: str = ""
    note: str = ""
    headings: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    rows_left_out: int = 0

    @property
    def text_alternative(self) -> str:
        """What a reader who cannot see the chart is told."""
        return f"{self.title}. {self.finding} The table below holds the same numbers."


def draw(run: Run, scores: Sequence[Score], names: Iterable[str]) -> tuple[Drawing, ...]:
    """The figures of these names, less those that the run did not ask for.

    Raises MissingPackage when Altair is not installed.
    """
    return tuple(made for name in names if (made := _draw(run, scores, name)))


def _draw(run: Run, scores: Sequence[Score], name: str) -> Drawing | None:
    member = figure(name)
    return drawing(name, member, member.data(run, scores))


def drawing(name: str, member: Chart, data: FigureData | Empty) -> Drawing | None:
    """A chart made ready under this name; None where it shows what nobody asked for.

    Raises MissingPackage when Altair is not installed.
    """
    if isinstance(data, Empty):
        if not data.expected:
            return None
        return Drawing(name, member.title, member.how_to_read, reason=data.reason)
    told = data.told
    return Drawing(
        name=name,
        title=member.title,
        how_to_read=data.how_to_read or member.how_to_read,
        spec=member.chart(data),
        finding=data.finding,
        note=data.note,
        headings=tuple(data.columns.values()),
        table=_table(data),
        rows_left_out=max(0, len(told) - TABLE_LIMIT),
    )


def _table(data: FigureData) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_text(row.get(field)) for field in data.columns) for row in data.told[:TABLE_LIMIT])


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def export(drawings: Iterable[Drawing], folder: Path, subtitle: str) -> tuple[Path, ...]:
    """Every drawn figure as SVG and PNG, on white, under its name.

    Raises MissingPackage when vl-convert is not installed.
    """
    converter = vl_convert()
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for drawing in drawings:
        if drawing.spec is None:
            continue
        title = {"text": drawing.title, "subtitle": subtitle, "fontSize": 15, "offset": 14}
        standalone = {**drawing.spec, "title": title}
        svg = converter.vegalite_to_svg(
            json.dumps(standalone), vl_version=VEGA_LITE, config=config("light", background=True)
        )
        files += [folder / f"{drawing.name}.svg", folder / f"{drawing.name}.png"]
        write_whole(files[-2], svg.encode())
        write_whole(files[-1], converter.svg_to_png(svg, scale=PNG_SCALE))
    return tuple(files)


def vl_convert() -> Any:
    """The vl_convert module. Raises MissingPackage when it is not installed."""
    try:
        import vl_convert
    except ImportError as absent:
        raise MissingPackage("vl-convert-python", "report") from absent
    return vl_convert
