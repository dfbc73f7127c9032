"""The table of right answers on a terminal: each network and number format beside FP32."""

from collections.abc import Callable, Sequence

from rich.table import Table

from tensordyno.analysis.accuracy import AccuracyRow
from tensordyno.analysis.scores import Interval

Column = Callable[[AccuracyRow], str]


def accuracy_table(rows: Sequence[AccuracyRow]) -> Table:
    """One line a network, engine, number format and calibration; accuracies in percent, fp32 first.

    `agree` is the share of images with the same first class, `worst` the class that lost most points.
    """
    shown: dict[str, Column] = {
        "model": lambda row: row.model,
        "engine": lambda row: row.engine,
        "precision": lambda row: row.precision,
    }
    numbers: dict[str, Column] = {
        "top-1, %": lambda row: _both(row.fp32_top1, row.top1),
        "points (95 %)": lambda row: _points(row.paired.difference) if row.paired else "no fp32",
        "top-5, %": lambda row: _both(row.fp32_top5, row.top5),
        "points": lambda row: f"{100 * row.paired.top5_difference.value:+.2f}" if row.paired else "",
        "agree": lambda row: f"{100 * row.paired.agreement:.2f} %" if row.paired else "",
        "worst": _worst_class,
    }
    if _varies(_calibrated, rows):
        shown["calibrated"] = _calibrated
    counts = {row.images for row in rows}
    if len(counts) > 1:
        numbers["images"] = lambda row: str(row.images)
    count = f"{counts.pop()} images" if len(counts) == 1 else "images"
    table = Table(title=f"Right answers beside fp32 on the same {count}", title_justify="left", box=None)
    for heading in shown:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for previous, row in zip((None, *rows), rows, strict=False):
        if previous and previous.model != row.model:
            table.add_section()
        table.add_row(*(column(row) for column in (shown | numbers).values()))
    return table


def percent(interval: Interval | None) -> str:
    """An accuracy: '90.85 %'."""
    return f"{100 * interval.value:.2f} %" if interval else ""


def _varies(column: Column, rows: Sequence[AccuracyRow]) -> bool:
    """Whether two rows of one network, engine and number format differ in it."""
    return len({(row.model, row.engine, row.precision, column(row)) for row in rows}) > len(
        {(row.model, row.engine, row.precision) for row in rows}
    )


def _calibrated(row: AccuracyRow) -> str:
    score = row.score
    if score.calibration_images is None:
        return ""
    seed = f", seed {score.calibration_seed}" if score.calibration_seed else ""
    kept = f", {score.fp32_kept} kept fp32" if score.fp32_kept else ""
    batch = f"{score.calibration_images // max(score.calibration_batch or 1, 1)}x{score.calibration_batch}"
    return f"{score.calibration_method} {batch}{seed}{kept}"


def _both(fp32: Interval | None, own: Interval) -> str:
    return f"{100 * fp32.value:.2f} → {100 * own.value:.2f}" if fp32 else f"{100 * own.value:.2f}"


def _worst_class(row: AccuracyRow) -> str:
    """The class that lost most, and how many points: '6: -3.5'."""
    drops = row.paired.worst_classes if row.paired else ()
    return f"{drops[0].label}: {100 * drops[0].difference.value:+.1f}" if drops else ""


def _points(difference: Interval) -> str:
    return f"{100 * difference.value:+.2f} ({100 * difference.low:+.2f} {100 * difference.high:+.2f})"
