"""The answer where nothing was timed: what a faster number format costs in right answers."""

from collections.abc import Iterable, Sequence

from tensordyno.analysis.accuracy import AccuracyRow
from tensordyno.analysis.alike import by_question
from tensordyno.analysis.scores import Interval, Score
from tensordyno.figures.labels import Labels, in_order, points
from tensordyno.figures.style import engine_colour
from tensordyno.report import cells
from tensordyno.report.answer import Best, Verdicts, facts
from tensordyno.vocabulary import Precision, Task, Verdict

MOST_CARDS = 4  # builds named for one network; the table has them all


def accuracy_answers(rows: Sequence[AccuracyRow], scores: Sequence[Score]) -> tuple[Verdicts, ...]:
    """One a network that was asked for right answers alone and has VALID ones, in order of the trials."""
    labels = Labels(scores)
    groups = [_judged(members) for _, members in by_question(s for s in scores if s.task == Task.ACCURACY)]
    order = in_order(labels.panel(s) for s in scores)
    ranked = sorted(filter(None, groups), key=lambda group: order.index(labels.panel(group[0])))
    return tuple(_verdicts(group, rows, labels) for group in ranked)


def accuracy_headline(rows: Sequence[AccuracyRow], scores: Sequence[Score]) -> str:
    """The whole report in one sentence; "" when no VALID trial has right answers."""
    labels = Labels(scores)
    mine = {s.trial for s in _judged(s for s in scores if s.task == Task.ACCURACY)}
    compared = [row for row in rows if row.paired and row.score.trial in mine]
    formats = in_order(row.precision for row in compared)
    if formats:
        precision = Precision.INT8 if Precision.INT8 in formats else formats[0]
        return _cost([row for row in compared if row.precision == precision], labels)
    known = _judged(scores)
    if not known:
        return ""
    best = max(known, key=_top1)
    return (
        f"{labels.panel(best)} gives {cells.percent(_top1(best))} of {best.accuracy_images:,} images their "
        f"right class on {labels.series(best)}."
    )


def _judged(scores: Iterable[Score]) -> list[Score]:
    return [s for s in scores if s.verdict is Verdict.VALID and s.top1]


def _top1(score: Score) -> float:
    return score.top1.value if score.top1 else 0.0


def _change(row: AccuracyRow) -> float:
    return row.paired.difference.value if row.paired else 0.0


def _cost(compared: Sequence[AccuracyRow], labels: Labels) -> str:
    """The worst build counts: the best of several owes something to luck."""
    row = min(compared, key=_change)
    name, worst = row.precision.upper(), labels.panel(row.score)
    networks = {labels.panel(other.score) for other in compared}
    least, most = (f"{100 * pick(map(_change, compared)):+.2f}".replace("-", "−") for pick in (min, max))
    tried = len({r.score.trial for r in compared if r.engine == row.engine and r.model == row.model})
    if tried > 1 and len(networks) == 1:
        return f"{name} changes top-1 by {least} to {most} points on {worst}, by {tried} calibrations."
    instead = f"{cells.percent(row.top1.value)} instead of {cells.percent(_fp32(row))}"
    if len(networks) == 1:
        assert row.paired is not None
        doubt = cells.difference_range(row.paired.difference)
        return (
            f"{name} {_verb(_change(row))} top-1 on {worst}: {instead} on {labels.series(row.score)} "
            f"(95 % interval of the difference {doubt} points)."
        )
    return (
        f"{name} changes top-1 by {least} to {most} points on {len(networks)} networks, at worst on {worst}: "
        f"{instead} on {labels.series(row.score)}."
    )


def _verb(change: float) -> str:
    """'costs 0.15 points of', 'gains 0.05 points of', 'costs no'."""
    if change == 0:
        return "costs no"
    return f"{'costs' if change < 0 else 'gains'} {abs(100 * change):.2f} points of"


def _fp32(row: AccuracyRow) -> float | None:
    return row.fp32_top1.value if row.fp32_top1 else None


def _verdicts(group: Sequence[Score], rows: Sequence[AccuracyRow], labels: Labels) -> Verdicts:
    exact = [s for s in group if s.precision == Precision.FP32]
    bests = [_reference(exact, labels)] if exact else []
    trials = {s.trial for s in group}
    mine = [row for row in rows if row.score.trial in trials]
    bests += [_build(found, labels) for found in _builds(mine)[:MOST_CARDS]]
    return Verdicts(name=labels.panel(group[0]), facts=facts(group[0], len(group)), bests=tuple(bests))


def _builds(rows: Sequence[AccuracyRow]) -> list[list[list[AccuracyRow]]]:
    """For each card its engines, and for each of these its calibrations, the best first.

    Engines whose best calibration gives the same answers share a card.
    """
    engines: dict[tuple[str, str], list[AccuracyRow]] = {}
    for row in sorted(rows, key=_change, reverse=True):
        engines.setdefault((row.engine, row.precision), []).append(row)
    alike: dict[tuple[object, ...], list[list[AccuracyRow]]] = {}
    for found in engines.values():
        best = found[0]
        alike.setdefault((best.precision, best.top1, best.paired, len(found)), []).append(found)
    return list(alike.values())


def _reference(exact: Sequence[Score], labels: Labels) -> Best:
    """FP32; engines that count otherwise are named."""
    best = max(exact, key=_top1)
    others = [f"{labels.engine(s)}: {cells.percent(_top1(s))}" for s in exact if _top1(s) != _top1(best)]
    same = len(exact) > 1 and not others
    return Best(
        heading="Right answers in FP32",
        value=f"{100 * _top1(best):.2f}",
        unit="% top-1",
        doubt=_range(best.top1),
        who=labels.series(best),
        colour=engine_colour(best.engine_name),
        notes=(
            f"{best.accuracy_images:,} images of {best.dataset}",
            *([f"top-5 {cells.percent(best.top5.value)}"] if best.top5 else []),
            *(["the same on every engine"] if same else []),
            *(others[:3]),
        ),
    )


def _range(interval: Interval | None) -> str:
    return f"{100 * interval.low:.1f}–{100 * interval.high:.1f} %" if interval else ""


def _build(engines: Sequence[Sequence[AccuracyRow]], labels: Labels) -> Best:
    """The best calibration of one number format, by one engine or several that give the same answers."""
    found = engines[0]
    row = found[0]
    heading = f"{row.precision.upper()} against FP32"
    who, colour = labels.series(row.score), engine_colour(row.engine_name)
    if row.paired is None:
        note = "no FP32 build of this run saw the same images: no difference"
        value = f"{100 * row.top1.value:.2f}"
        return Best(heading, value, "% top-1", _range(row.top1), who, colour, (note,))
    difference = row.paired.difference
    notes = [
        f"{cells.percent(row.top1.value)} instead of {cells.percent(_fp32(row))}",
        f"same first class as FP32 on {cells.percent(row.paired.agreement, 1)} of the images",
    ]
    if difference.low <= 0 <= difference.high:
        notes.append("these images cannot tell it from FP32")
    if row.score.calibration_images:
        notes.append(
            f"calibrated by {row.score.calibration_method} on {row.score.calibration_images:,} images"
        )
    if len(engines) > 1:
        others = [labels.engine(calibrated[0].score) for calibrated in engines[1:]]
        notes.append(f"the same on {cells.listing(others)}")
    if len(found) > 1:
        worst = points(_change(found[-1]))
        notes.append(f"the best of {len(found)} calibrations on these very images; the worst: {worst} points")
    return Best(
        heading=heading,
        value=points(difference.value),
        unit="points of top-1",
        doubt=cells.difference_range(difference),
        who=who,
        colour=colour,
        notes=tuple(notes),
    )
