"""The accuracy table: networks and engines down, FP32 and the faster number formats across."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tensordyno.analysis.accuracy import AccuracyRow
from tensordyno.analysis.scores import Interval, Score
from tensordyno.figures.labels import Labels, points
from tensordyno.figures.style import engine_colour
from tensordyno.report import cells
from tensordyno.vocabulary import Verdict

ROW_LIMIT = 200


@dataclass(frozen=True)
class Measure:
    """What a cell shows, and in smaller letters its interval or what belongs to it."""

    text: str
    detail: str = ""

    @property
    def line(self) -> str:
        """Both on one line: '92.60 % (91.4–93.7)'."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Comparison:
    """One network in one number format by one engine against FP32, in the order of the headings."""

    asked: tuple[str, ...]  # network, engine, precision
    colour: str
    found: tuple[Measure, ...]


@dataclass(frozen=True)
class AccuracyTable:
    """The table without the columns in which no row has anything."""

    asked: tuple[str, ...]
    found: tuple[str, ...]
    rows: tuple[Comparison, ...]
    left_out: int = 0
    how_to_read: str = ""


_ASKED = ("Network", "Engine", "Precision")
_FOUND = (
    "FP32 top-1",
    "Its top-1",
    "Difference, points",
    "FP32 top-5",
    "Its top-5",
    "Difference, points",
    "Agrees with FP32",
    "Images",
    "Calibrated",
    "Layers in INT8",
    "Worst class",
)
_NOTHING = Measure(cells.UNKNOWN)

HOW_TO_READ = (
    "Each build against FP32 of the same network on the same images. Differences are its share of right "
    "answers minus that of FP32, in percentage points; beside the numbers stand their 95 % intervals, those "
    "of differences paired image by image."
)


def accuracy_table(rows: Sequence[AccuracyRow], scores: Sequence[Score]) -> AccuracyTable | None:
    """At most `ROW_LIMIT` rows in the order given, each number with its 95 % interval.

    None when no row could be compared with FP32.
    """
    if not any(row.paired for row in rows):
        return None
    labels = Labels(scores)
    made = [_comparison(row, labels) for row in rows[:ROW_LIMIT]]
    kept = [i for i in range(len(_FOUND)) if any(row.found[i] != _NOTHING for row in made)]
    return AccuracyTable(
        asked=_ASKED,
        found=tuple(_FOUND[i] for i in kept),
        rows=tuple(replace(row, found=tuple(row.found[i] for i in kept)) for row in made),
        left_out=len(rows) - len(made),
        how_to_read=HOW_TO_READ,
    )


def _comparison(row: AccuracyRow, labels: Labels) -> Comparison:
    score = row.score
    precision = row.precision
    if score.verdict is not Verdict.VALID:
        precision += f", {cells.verdict(score.verdict)}"
    return Comparison(
        asked=(labels.panel(score), labels.engine(score), precision),
        colour=engine_colour(row.engine_name),
        found=(
            _share(row.fp32_top1),
            _share(row.top1),
            _difference(row.paired.difference if row.paired else None),
            _share(row.fp32_top5),
            _share(row.top5),
            _difference(row.paired.top5_difference if row.paired else None),
            Measure(cells.percent(row.paired.agreement if row.paired else None)),
            Measure(f"{row.images:,}"),
            _calibration(score, labels),
            _layers(score),
            _worst_class(row),
        ),
    )


def _share(accuracy: Interval | None) -> Measure:
    if accuracy is None:
        return _NOTHING
    return Measure(cells.percent(accuracy.value), f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}")


def _difference(interval: Interval | None) -> Measure:
    if interval is None:
        return _NOTHING
    return Measure(points(interval.value), cells.difference_range(interval))


def _calibration(score: Score, labels: Labels) -> Measure:
    if not score.calibration_images:
        return _NOTHING
    more = labels.calibration(score, besides=("method", "images", "kept"))
    images = f"{score.calibration_images:,} images"
    return Measure(score.calibration_method, f"{images}, {more}" if more else images)


def _layers(score: Score) -> Measure:
    """The engine's own account of its layers, and how many of them the calibration kept in FP32."""
    kept = f"{score.fp32_kept} kept" if score.fp32_kept else ""
    if score.int8_layers is None:
        return Measure(kept) if kept else _NOTHING
    return Measure(f"{score.int8_layers} of {score.int8_layers + (score.float_layers or 0)}", kept)


def _worst_class(row: AccuracyRow) -> Measure:
    worst = row.paired.worst_classes[0] if row.paired and row.paired.worst_classes else None
    if worst is None:
        return _NOTHING
    return Measure(
        f"class {worst.label}: {points(worst.difference.value)}",
        f"{worst.right_there} → {worst.right} of {worst.images}",
    )
