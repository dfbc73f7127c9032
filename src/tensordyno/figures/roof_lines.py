"""Roofs of a device as lines: up the slope of its memory, then level at what its arithmetic reaches."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tensordyno.analysis.roofline import Roof
from tensordyno.figures.base import Row
from tensordyno.figures.labels import in_order
from tensordyno.figures.panels import rounded, spread
from tensordyno.units import significant

HEIGHT = 320  # px of a panel
TERA = 1e12
_LABEL = 13  # px between two labels


class _Frame(NamedTuple):
    """The part of the plane that a panel shows: operations a byte, T op/s."""

    left: float
    right: float
    bottom: float
    top: float


class _Line(NamedTuple):
    """One roof. Precisions of the same height share it."""

    source: str  # "measured" or "published"
    limit: float  # T op/s
    slope: float | None  # TB/s; None: not known
    precisions: tuple[str, ...]

    def corners(self, frame: _Frame) -> list[tuple[float, float]]:
        """From the left edge or the bottom to the right edge."""
        if not self.slope:
            return [(frame.left, self.limit), (frame.right, self.limit)]
        ridge = self.limit / self.slope
        begin = max(frame.left, frame.bottom / self.slope)
        rise = [(begin, begin * self.slope), (ridge, self.limit)]
        return [*(rise if begin < ridge else [(frame.left, self.limit)]), (frame.right, self.limit)]


def roof_lines(roof: Roof, points: Sequence[Row]) -> Iterator[Row]:
    """A row a corner of every roof over these points of one device, then the labels at the right edge."""
    lines = _lines(roof, in_order(row["precision"] for row in points))
    if not lines:
        return
    ridges = [line.limit / line.slope for line in lines if line.slope]
    across = [*(row["intensity"] for row in points), *ridges]
    lowest, highest = min(row["tops"] for row in points), max(line.limit for line in lines)
    frame = _Frame(min(across) / 2, 2.5 * max(across), 0.6 * lowest, highest)
    for line in lines:
        known = {
            "kind": line.source,
            "panel": roof.name,
            "roof": f"{line.source} {' '.join(line.precisions)}",
        }
        for x, y in line.corners(frame):
            yield {**known, "intensity": rounded(x, 4), "tops": rounded(y, 4)}
    yield from _labels(roof.name, lines, frame)


def _lines(roof: Roof, precisions: Sequence[str]) -> list[_Line]:
    found = _level("measured", roof.matmul, roof.copy, precisions)
    if roof.peak:
        found += _level("published", roof.peak.operations, roof.peak.memory, precisions)
    return found


def _level(
    source: str, operations: Mapping[str, float], memory: float | None, precisions: Sequence[str]
) -> list[_Line]:
    alike: dict[float, list[str]] = {}
    for precision in precisions:
        if precision in operations:
            alike.setdefault(operations[precision] / TERA, []).append(precision)
    slope = memory / TERA if memory else None
    return [_Line(source, limit, slope, tuple(names)) for limit, names in alike.items()]


def _labels(panel: str, lines: Sequence[_Line], frame: _Frame) -> Iterator[Row]:
    """Behind the end of each line, in the order of the lines and apart from each other."""
    decade = HEIGHT / math.log10(2 * frame.top / frame.bottom)  # px
    places = spread([math.log10(line.limit) for line in lines], _LABEL / decade)
    for line, place in zip(lines, places, strict=True):
        yield {
            "kind": "label",
            "panel": panel,
            "intensity": rounded(frame.right, 4),
            "tops": rounded(10**place, 4),
            "label": f"{', '.join(line.precisions)} {line.source}, {significant(line.limit)}",
        }
