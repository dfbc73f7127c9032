"""The largest batch that fits into memory, for each build that ran out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tensordyno.analysis.batch_limits import BatchLimit, batch_limits
from tensordyno.analysis.scores import Score
from tensordyno.figures.labels import Labels
from tensordyno.report import cells
from tensordyno.store.reader import Run
from tensordyno.units import bytes_text

ROW_LIMIT = 200
HOW_TO_READ = (
    "Where a sweep of batch sizes ran out of memory, the gap between the last batch that ran and the first "
    "that did not is halved until it is narrow, each time by a build and one inference. Asked is the "
    "allocation that failed, free what was left when it did."
)


@dataclass(frozen=True)
class MemoryTable:
    """Texts in the order of the headings; the first two columns say which build, the others are numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    how_to_read: str
    left_out: int = 0


_HEADINGS = (
    *("Network", "Configuration", "Largest batch that fits", "Smallest that does not"),
    *("Memory held", "Asked", "Free", "In all"),
)


def memory_table(run: Run, scores: Sequence[Score]) -> MemoryTable | None:
    """At most `ROW_LIMIT` rows in the order of the scores; None when nothing ran out of memory."""
    found = batch_limits(run, scores)
    if not found:
        return None
    labels = Labels(scores)
    rows = tuple(_row(limit, labels) for limit in found[:ROW_LIMIT])
    return MemoryTable(_HEADINGS, rows, HOW_TO_READ, max(0, len(found) - ROW_LIMIT))


def _row(limit: BatchLimit, labels: Labels) -> tuple[str, ...]:
    missing = limit.shortage
    return (
        labels.panel(limit.score),
        labels.series(limit.score),
        f"{limit.fits:,}" if limit.fits else "none",
        f"{limit.fails:,}",
        _size(limit.peak_bytes),
        _size(missing.asked_bytes if missing else None),
        _size(missing.free_bytes if missing else None),
        _size(missing.total_bytes if missing else None),
    )


def _size(size_bytes: int | None) -> str:
    return cells.UNKNOWN if size_bytes is None else bytes_text(size_bytes)
