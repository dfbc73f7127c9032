"""The answer first: what is fastest here, what answers soonest, what is fastest within a bound.

Only VALID trials are ranked, and only against trials that answer the same question. A winner is named
together with those whose intervals overlap its own: nobody may call it faster than these.

A number format that certainly costs more than one point of top-1 (`accuracy.loses_accuracy`) is not
recommended, however fast: such trials are set aside, and the check `int8-drop` names them. Where nothing
else is left they are ranked after all. What a recommended format costs stands in its score
(`top1_difference`), to be shown beside the speed.
"""

from collections.abc import Callable, Iterable, Sequence

from tensordyno.analysis.accuracy import loses_accuracy
from tensordyno.analysis.alike import Question, by_question
from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Verdict


class Choice(Record, frozen=True, kw_only=True):
    """A winner, and the trials within the interval of it (their ids), best first."""

    score: Score
    value: Interval  # images/s, or seconds for a latency
    ties: tuple[str, ...] = ()


class BoundedChoice(Record, frozen=True, kw_only=True):
    """The fastest trial whose latency keeps the bound, and what the latency was judged on."""

    choice: Choice
    bound_s: float
    latency_s: float
    judged_on: str  # "p99", or "worst of N batches" where N is too small for a p99
    is_certain: bool  # the upper end of the p99 interval keeps the bound too


class Answer(Record, frozen=True, kw_only=True):
    """The best of all trials that answer one question."""

    question: Question
    candidates: int  # VALID trials that were ranked
    throughput: Choice
    latency: Choice | None  # smallest p50 over all batch sizes
    under_bound: BoundedChoice | None = None
    set_aside: tuple[str, ...] = ()  # VALID trials not recommended: they lose right answers


def best(scores: Iterable[Score], latency_bound_s: float | None = None) -> tuple[Answer, ...]:
    """One answer a question that has a VALID trial; `latency_bound_s` in seconds."""
    answers = (_answer(key, members, latency_bound_s) for key, members in by_question(_ranked(scores)))
    return tuple(answers)


def pareto(
    scores: Iterable[Score], latency: Callable[[Score], Interval | None] = lambda s: s.latency_p50_s
) -> tuple[Score, ...]:
    """The VALID trials of one question that no other beats on both throughput and latency.

    From the smallest latency up; among equals on both counts, the first. Those that lose right answers
    are set aside here too. Raises ValueError when the scores answer different questions.
    """
    ranked = _recommendable([s for s in _ranked(scores) if latency(s) is not None])
    if len(by_question(ranked)) > 1:
        raise ValueError("a Pareto front compares trials that answer the same question")
    front: list[Score] = []
    for score in sorted(ranked, key=lambda s: (_value(latency(s)), -_value(s.images_per_s))):
        if not front or _value(score.images_per_s) > _value(front[-1].images_per_s):
            front.append(score)
    return tuple(front)


def latency_under(score: Score) -> tuple[float, str] | None:
    """The latency in seconds that a bound is judged on, and its name; None when nothing was measured.

    With too few batches for a p99 it is the worst batch seen: the strictest that the data allow.
    """
    if score.latency_p99_s:
        return score.latency_p99_s.value, "p99"
    if score.latency_worst_s is not None:
        return score.latency_worst_s, f"worst of {score.batches} batches"
    return None


def _ranked(scores: Iterable[Score]) -> list[Score]:
    return [s for s in scores if s.verdict is Verdict.VALID and s.images_per_s is not None]


def _recommendable(valid: Sequence[Score]) -> Sequence[Score]:
    """Those that still classify; all of them when none does."""
    return [s for s in valid if not loses_accuracy(s)] or valid


def _answer(key: Question, valid: Sequence[Score], bound_s: float | None) -> Answer:
    members = _recommendable(valid)
    ranked = {s.trial for s in members}
    timed = [s for s in members if s.latency_p50_s is not None]
    return Answer(
        question=key,
        candidates=len(members),
        throughput=_choose(members, lambda s: s.images_per_s, 1),
        latency=_choose(timed, lambda s: s.latency_p50_s, -1) if timed else None,
        under_bound=_under_bound(members, bound_s) if bound_s else None,
        set_aside=tuple(s.trial for s in valid if s.trial not in ranked),
    )


def _choose(members: Sequence[Score], value: Callable[[Score], Interval | None], sign: int) -> Choice:
    """The member with the largest `sign` times value; all members have one."""
    order = sorted(members, key=lambda s: (-sign * _value(value(s)), s.trial))
    first = value(order[0])
    assert first is not None
    ties = tuple(s.trial for s in order[1:] if (v := value(s)) is not None and v.overlaps(first))
    return Choice(score=order[0], value=first, ties=ties)


def _under_bound(members: Sequence[Score], bound_s: float) -> BoundedChoice | None:
    within = [s for s in members if (judged := latency_under(s)) and judged[0] <= bound_s]
    if not within:
        return None
    choice = _choose(within, lambda s: s.images_per_s, 1)
    judged = latency_under(choice.score)
    assert judged is not None
    p99 = choice.score.latency_p99_s
    return BoundedChoice(
        choice=choice,
        bound_s=bound_s,
        latency_s=judged[0],
        judged_on=judged[1],
        is_certain=p99 is not None and p99.high <= bound_s,
    )


def _value(interval: Interval | None) -> float:
    assert interval is not None
    return interval.value
