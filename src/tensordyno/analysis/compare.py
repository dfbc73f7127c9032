"""Two runs of the same configurations: faster, slower, better, worse, same, or not to be told apart."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from msgspec.structs import replace

from tensordyno.analysis.accuracy import MOST_DROP
from tensordyno.analysis.against_fp32 import paired_answers
from tensordyno.analysis.alike import question, threads_that_matter
from tensordyno.analysis.baseline import Bursts, bursts_of
from tensordyno.analysis.environment import Difference, differences
from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Verdict

MARGIN = 0.02
NOTE = (
    "The intervals hold the variation within each run only. Between runs, memory layout, clocks and "
    "neighbours change too, often by more: confirm a small difference with another pair of runs, or "
    "measure both sides in one run, where their rounds are interleaved."
)


class Change(StrEnum):
    """What became of a configuration from the old run to the new one."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNCLEAR = "unclear"
    BETTER = "better"  # more right answers; of trials that only count these
    WORSE = "worse"  # fewer
    BROKEN = "broken"  # VALID before, not now
    FIXED = "fixed"  # VALID now, not before


class Match(Record, frozen=True, kw_only=True):
    """One configuration in both runs; `ratio` is new throughput over old.

    `difference` is new top-1 minus old as fractions, where both answered to the same labelled images.
    """

    old: Score
    new: Score
    change: Change
    ratio: Interval | None = None
    difference: Interval | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """Everything a reader needs before believing that something changed."""

    matches: tuple[Match, ...]
    only_old: tuple[Score, ...]
    only_new: tuple[Score, ...]
    environment: tuple[Difference, ...]
    margin: float
    note: str = NOTE


def compare(
    old: Run, new: Run, old_scores: Sequence[Score], new_scores: Sequence[Score], margin: float = MARGIN
) -> Comparison:
    """Match the trials of two runs by configuration and judge each pair.

    Combinations that were planned away on both sides are left out. The two runs have clocks of their
    own, so the ratio is always the unpaired one.
    """
    pairs, only_old, only_new = matched(old_scores, new_scores)
    asked = [pair for pair in pairs if any(s.verdict is not Verdict.SKIPPED for s in pair)]
    before, after = bursts_of(old), bursts_of(new)
    counted = _differences(old, new, asked)
    return Comparison(
        matches=tuple(_judge_pair(a, b, before, after, counted.get(b.trial), margin) for a, b in asked),
        only_old=tuple(only_old),
        only_new=tuple(only_new),
        environment=differences(old, new),
        margin=margin,
    )


def judge(ratio: Interval | None, margin: float = MARGIN) -> Change:
    """What a throughput ratio with its 95 % interval says, against a margin of equivalence.

    SAME: the whole interval lies within 1/(1 + margin) .. 1 + margin, so that the difference does not
    matter even if it is there (the two one-sided tests of Schuirmann, Journal of Pharmacokinetics and
    Biopharmaceutics 15, 1987, here at 2.5 %). FASTER or SLOWER: the interval excludes 1 and the value
    lies beyond the margin. All else is UNCLEAR.
    """
    if ratio is None or not ratio.is_bounded:
        return Change.UNCLEAR
    if 1 / (1 + margin) <= ratio.low and ratio.high <= 1 + margin:
        return Change.SAME
    if ratio.low > 1 and ratio.value > 1 + margin:
        return Change.FASTER
    if ratio.high < 1 and ratio.value < 1 / (1 + margin):
        return Change.SLOWER
    return Change.UNCLEAR


def judge_answers(difference: Interval | None) -> Change:
    """What a paired difference of top-1 says, against the point (`MOST_DROP`) that a choice may cost.

    BETTER or WORSE: the 95 % interval excludes 0 and the value lies beyond that. SAME: the whole interval
    lies within it. All else is UNCLEAR, also a small difference beyond doubt.
    """
    if difference is None:
        return Change.UNCLEAR
    if difference.low >= -MOST_DROP and difference.high <= MOST_DROP:
        return Change.SAME
    if difference.low > 0 and difference.value > MOST_DROP:
        return Change.BETTER
    if difference.high < 0 and difference.value < -MOST_DROP:
        return Change.WORSE
    return Change.UNCLEAR


def _judge_pair(
    old: Score, new: Score, before: Bursts, after: Bursts, difference: Interval | None, margin: float
) -> Match:
    was, now = old.verdict is Verdict.VALID, new.verdict is Verdict.VALID
    if was != now:
        return Match(old=old, new=new, change=Change.FIXED if now else Change.BROKEN)
    if not was:
        return Match(old=old, new=new, change=Change.UNCLEAR)
    if not new.is_timed:
        return Match(old=old, new=new, change=judge_answers(difference), difference=difference)
    found = throughput_ratio(after.get(new.trial, ()), before.get(old.trial, ()), one_clock=False)
    ratio = found.interval if found else None
    return Match(old=old, new=new, change=judge(ratio, margin), ratio=ratio, difference=difference)


def _differences(old: Run, new: Run, pairs: Sequence[tuple[Score, Score]]) -> dict[str, Interval]:
    """New top-1 minus old by the new trial's id, where both runs kept answers to the same images."""
    before, after = ({o.trial.id: o for o in run.outcomes} for run in (old, new))
    found: dict[str, Interval] = {}
    for a, b in pairs:
        was, now = before.get(a.trial), after.get(b.trial)
        both = paired_answers((new, now), (old, was)) if was and now else None
        if both:
            found[b.trial] = both.difference
    return found


def matched(
    old: Sequence[Score], new: Sequence[Score], *, anywhere: bool = False
) -> tuple[list[tuple[Score, Score]], list[Score], list[Score]]:
    """The pairs of trials that ran the same configuration, and those that have no partner on either side.

    First by everything that was chosen, then by all but the calibration, the threads, the allocator: the
    later passes match two runs that differ in just these; the environment says so. With `anywhere`, what is
    left is matched in the same way on whatever device.
    """
    pairs: list[tuple[Score, Score]] = []
    left, right = list(old), list(new)
    for where in (_configuration, _anywhere) if anywhere else (_configuration,):
        for key in _keys(where):
            waiting: dict[object, list[Score]] = {}
            for score in reversed(right):
                waiting.setdefault(key(score), []).append(score)
            found = [(a, waiting[key(a)].pop()) for a in left if waiting.get(key(a))]
            pairs += found
            taken_old, taken_new = {a.trial for a, _ in found}, {b.trial for _, b in found}
            left = [s for s in left if s.trial not in taken_old]
            right = [s for s in right if s.trial not in taken_new]
    order = {s.trial: i for i, s in enumerate(old)}
    return sorted(pairs, key=lambda pair: order[pair[0].trial]), left, right


def _keys(where: Callable[[Score], object]) -> tuple[Callable[[Score], object], ...]:
    return (
        lambda s: (where(s), s.allocator, threads_that_matter(s), _calibration(s)),
        lambda s: (where(s), s.allocator, threads_that_matter(s)),
        lambda s: (where(s), s.allocator),
        where,
    )


def _calibration(score: Score) -> tuple[object, ...]:
    return (
        score.calibration_method,
        score.calibration_images,
        score.calibration_batch,
        score.calibration_seed,
        score.fp32_kept,
    )


def _configuration(score: Score) -> tuple[object, ...]:
    return question(score), score.engine, score.precision, score.batch_size


def _anywhere(score: Score) -> tuple[object, ...]:
    asked = replace(question(score), device="")
    return asked, score.engine, score.precision, score.batch_size
