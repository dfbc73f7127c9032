"""The contract of a figure: rows from a run, a chart from the rows, and words that say what it shows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tensordyno.analysis.scores import Score
from tensordyno.catalogue import Catalogue
from tensordyno.store.reader import Run

FIGURES = Catalogue(
    "figures",
    "figure",
    besides=frozenset(
        {
            *("style", "panels", "labels", "activities", "strips", "sweeps", "roof_lines", "energy_bars"),
            *("compared", "compared_batches", "compared_ratios"),  # of several runs, not of one
        }
    ),
)

Row = dict[str, Any]  # JSON values only
Spec = dict[str, Any]  # a Vega-Lite specification


@dataclass(frozen=True, kw_only=True)
class FigureData:
    """What a figure draws, and the same for a reader who cannot see it.

    `columns` maps row fields to the headings, units included, of the table given beside the chart;
    `table` holds that table's rows where they are not the chart's. `finding` is one sentence about
    these very rows; `note` says what was left out, if anything. `how_to_read` stands for the figure's own
    where these rows are drawn in another way.
    """

    rows: tuple[Row, ...]
    columns: dict[str, str]
    finding: str
    note: str = ""
    how_to_read: str = ""
    table: tuple[Row, ...] | None = None

    @property
    def told(self) -> tuple[Row, ...]:
        """The rows of the table given beside the chart."""
        return self.rows if self.table is None else self.table


@dataclass(frozen=True)
class Empty:
    """Why there is nothing to draw, as a sentence for the reader.

    `expected` is false where the run never asked for what the figure shows: a report then leaves the
    figure out without a word.
    """

    reason: str
    expected: bool = True


class Chart(ABC):
    """What turns rows into a drawing, and tells how to read it."""

    title: ClassVar[str]
    how_to_read: ClassVar[str]  # one sentence

    @abstractmethod
    def chart(self, data: FigureData) -> Spec:
        """A Vega-Lite specification with its data inside and without colours of a theme.

        Raises MissingPackage when Altair is not installed.
        """


class Figure(Chart):
    """One kind of chart of a run. Each member module defines `MEMBER = <an instance>`."""

    @abstractmethod
    def data(self, run: Run, scores: Sequence[Score]) -> FigureData | Empty:
        """The rows to draw, thinned to what a page can show, or the reason why there are none."""


def figure(name: str) -> Figure:
    """The figure of that name. Raises UnknownName with the nearest names."""
    member: Figure = FIGURES.module(name).MEMBER
    return member
