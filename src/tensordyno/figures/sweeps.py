"""What figures over batch sizes share: the axis, and lines coloured by precision and marked by engine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Row
from tensordyno.figures.labels import Labels, in_order
from tensordyno.figures.panels import DATA, when_picked
from tensordyno.figures.style import precision_colours, series_marks
from tensordyno.vocabulary import Task

PICK = "precision"
HEIGHT = 220


def identity(score: Score, labels: Labels) -> Row:
    """What of a row says which build it is about, and in which panel it belongs."""
    return {
        "panel": labels.panel(score),
        "series": labels.series(score),
        "engine": labels.engine(score),
        "precision": score.precision,
        "batch": score.batch_size,
    }


def swept(rows: Iterable[Row]) -> set[str]:
    """The panels in which one build is at two batch sizes or more: the others have no line to draw."""
    sizes: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        sizes.setdefault((row["panel"], row["series"]), set()).add(row["batch"])
    return {panel for (panel, _), found in sizes.items() if len(found) > 1}


def asked_to_sweep(scores: Iterable[Score], labels: Labels) -> bool:
    """Whether one build was to run at two batch sizes or more, however that ended."""
    return bool(swept(identity(score, labels) for score in scores if score.task != Task.ACCURACY))


def batch_axis(alt: Any, batches: Sequence[int]) -> Any:
    """Batch sizes, each twice as far as its half; where labels would collide, every other one is named."""
    return alt.X(
        "batch:Q",
        title="batch size",
        scale=alt.Scale(type="log", base=2, nice=False, padding=14),
        axis=alt.Axis(values=sorted(set(batches)), format="d", grid=False, labelOverlap="parity"),
    )


@dataclass(frozen=True)
class Sweep:
    """Draws one panel's lines over batch sizes; the same scales in every panel of a figure."""

    alt: Any
    rows: Sequence[Row]

    def base(self, panel: str, which: str) -> Any:
        """A chart of the rows of a panel for which an expression is true, along the batch axis."""
        alt = self.alt
        measured = [r["batch"] for r in self.rows if r["panel"] == panel and not r.get("end")]
        chart = alt.Chart(alt.NamedData(name=DATA)).transform_filter(f"datum.panel === {panel!r} && {which}")
        return chart.encode(
            x=batch_axis(alt, measured or [r["batch"] for r in self.rows if r["panel"] == panel]),
            color=self.colour(),
            detail="series:N",
            opacity=when_picked(alt),
        )

    def line(self, base: Any, y: Any, tip: list[Any], *, dashed: bool = False) -> list[Any]:
        """A line with a mark at each measured batch size; a dashed one has no marks."""
        if dashed:
            return [base.mark_line(strokeWidth=1.4, strokeDash=[4, 3]).encode(y=y)]
        marks = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, tooltip=tip)
        return [base.mark_line(strokeWidth=1.8).encode(y=y), marks.encode(**self.shape())]

    def colour(self) -> Any:
        """That of the precision."""
        scale = self.alt.Scale(**precision_colours(in_order(r["precision"] for r in self.rows)))
        return self.alt.Color("precision:N", title=None, scale=scale)

    def shape(self) -> dict[str, Any]:
        """The engine's mark; none where there is but one engine."""
        engines = in_order(r["engine"] for r in self.rows)
        if len(engines) < 2:
            return {}
        return {
            "shape": self.alt.Shape("engine:N", title=None, scale=self.alt.Scale(**series_marks(engines)))
        }


def cross(base: Any, y: Any, tip: list[Any]) -> Any:
    """Where memory ran out."""
    return base.mark_text(text="×", fontSize=22, baseline="middle").encode(y=y, tooltip=tip)
