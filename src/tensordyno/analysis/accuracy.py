"""The accuracy table: each network in each number format, its right answers beside those of FP32.

The table of the V100 paper (networks x {FP32, INT8} x {top-1, top-5} and the difference), with intervals.
"""

from collections.abc import Iterable, Sequence

from tensordyno.analysis.against_fp32 import Fp32Builds
from tensordyno.analysis.paired import Paired
from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Precision

MOST_DROP = 0.01  # of top-1, as a fraction: a build that certainly loses more is not recommended


class AccuracyRow(Record, frozen=True, kw_only=True):
    """One network in one number format by one engine. Accuracies and differences are fractions.

    `score` is the trial the row stands for, `fp32` the one it was compared with: None, like all that comes
    from it, when the run has no FP32 build of this network that saw the same images.
    """

    model: str
    dataset: str
    engine: str  # label with options
    engine_name: str
    precision: str
    images: int
    top1: Interval
    top5: Interval
    score: Score
    fp32_top1: Interval | None = None
    fp32_top5: Interval | None = None
    fp32: Score | None = None
    paired: Paired | None = None  # this one minus FP32


def accuracy_rows(run: Run, scores: Sequence[Score]) -> tuple[AccuracyRow, ...]:
    """One row a network, engine, number format other than FP32, and calibration, in order of appearance.

    Batch size and boundary change no answer: of trials that differ in these alone, the one with the most
    images stands for all. Raises StoreError for broken answers.
    """
    by_trial = {s.trial: s for s in scores}
    chosen: dict[tuple[object, ...], Outcome] = {}
    for outcome in _answered(run.outcomes):
        known = chosen.setdefault(_kind(outcome), outcome)
        if _images(outcome) > _images(known):
            chosen[_kind(outcome)] = outcome
    builds = Fp32Builds(run)
    rows = (_row(outcome, builds, by_trial) for outcome in chosen.values())
    return tuple(row for row in rows if row)


def loses_accuracy(score: Score) -> bool:
    """Whether fewer answers are right than in FP32, beyond doubt, and by more than one point of top-1.

    Beyond doubt: the 95 % interval of the paired difference lies below 0.
    """
    difference = score.top1_difference
    return difference is not None and difference.value < -MOST_DROP and difference.high < 0


def is_unproved(score: Score) -> bool:
    """Whether trained weights run in INT8 and nobody knows how many answers that costs."""
    trained = score.weights not in ("", "random")
    return score.precision == Precision.INT8 and trained and score.top1_difference is None


def _answered(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [
        o for o in outcomes if o.trial.precision is not Precision.FP32 and o.accuracy and o.accuracy.images
    ]


def _images(outcome: Outcome) -> int:
    return outcome.accuracy.images if outcome.accuracy else 0


def _kind(outcome: Outcome) -> tuple[object, ...]:
    """What makes a row of its own."""
    trial, model = outcome.trial, outcome.model
    return (
        trial.model,
        (model.weights_hash, model.preprocessing) if model else None,
        trial.dataset,
        trial.engine.label,
        trial.engine.python,
        trial.device,
        trial.precision,
        trial.calibration,
    )


def _row(outcome: Outcome, builds: Fp32Builds, by_trial: dict[str, Score]) -> AccuracyRow | None:
    score = by_trial.get(outcome.trial.id)
    if score is None or score.top1 is None or score.top5 is None:
        return None
    found = builds.against(outcome)
    fp32 = by_trial.get(found.trial) if found else None
    return AccuracyRow(
        model=score.model,
        dataset=score.dataset,
        engine=score.engine,
        engine_name=score.engine_name,
        precision=score.precision,
        images=score.accuracy_images,
        top1=score.top1,
        top5=score.top5,
        score=score,
        fp32_top1=fp32.top1 if fp32 else None,
        fp32_top5=fp32.top5 if fp32 else None,
        fp32=fp32,
        paired=found.paired if found else None,
    )
