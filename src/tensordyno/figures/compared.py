"""The contract of a figure about several runs: what a device comparison's charts share."""

from abc import abstractmethod
from collections.abc import Iterable

from msgspec.structs import replace

from tensordyno.analysis.compare_devices import Contest, DeviceComparison
from tensordyno.analysis.scores import Score
from tensordyno.figures.base import Chart, Empty, FigureData
from tensordyno.figures.labels import Labels
from tensordyno.figures.style import DEVICE_COLOURS


class ComparedFigure(Chart):
    """One kind of chart of a comparison."""

    @abstractmethod
    def data(self, found: DeviceComparison) -> FigureData | Empty:
        """The rows to draw, or the reason why there are none."""


def side_scale(found: DeviceComparison) -> dict[str, list[str]]:
    """A colour for each side, the same in every chart of a comparison."""
    labels = [side.label for side in found.sides]
    return {"domain": labels, "range": [DEVICE_COLOURS[i % len(DEVICE_COLOURS)] for i in range(len(labels))]}


def placeless(score: Score) -> Score:
    """A trial as if device and threads were the same on every side: these need no name in a panel's title."""
    return replace(score, device="device", threads=None)


class Panels:
    """What panels are called in a comparison: only what differs is named."""

    def __init__(self, contests: Iterable[Contest]) -> None:
        firsts = [placeless(s.score) for c in contests if (s := c.standings[0])]
        self._labels = Labels(firsts)
        self._engines = len({self._labels.engine(s) for s in firsts}) > 1

    def network(self, contest: Contest) -> str:
        """'resnet50', or 'resnet50, 2 x device'."""
        return self._labels.panel(_first(contest))

    def arithmetic(self, contest: Contest) -> str:
        """'fp16', or 'torch fp16' where there are several engines."""
        first = _first(contest)
        return self._labels.series(first) if self._engines else first.precision


def _first(contest: Contest) -> Score:
    first = contest.standings[0]
    assert first is not None
    return placeless(first.score)
