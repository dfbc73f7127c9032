"""Ratios to a chosen engine's FP32 build of the same network, batch size, boundary and devices."""

from collections.abc import Iterable, Mapping, Sequence

from tensordyno.analysis.alike import Question, question
from tensordyno.analysis.ratio import Ratio, throughput_ratio
from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.records.burst import Burst
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Precision, Verdict

Bursts = Mapping[str, Sequence[Burst]]  # all bursts by trial, contended ones included


class Relative(Record, frozen=True, kw_only=True):
    """A trial's throughput over its reference's. The reference itself has none."""

    trial: str
    reference: str
    ratio: Ratio


def bursts_of(run: Run) -> dict[str, tuple[Burst, ...]]:
    """All bursts of every trial of a run."""
    return {outcome.trial.id: outcome.bursts for outcome in run.outcomes}


def relative(scores: Sequence[Score], bursts: Bursts, baseline: str) -> dict[str, Relative]:
    """Throughput of every measured trial over its reference, by trial id.

    `baseline` is an engine's label or name. Trials whose reference is missing or not VALID, and the
    references themselves, are left out.
    """
    references = _references(scores, baseline)
    found: dict[str, Relative] = {}
    for score in scores:
        reference = references.get(_place(score))
        if not score.is_timed or reference is None or reference.trial == score.trial:
            continue
        ratio = throughput_ratio(bursts.get(score.trial, ()), bursts.get(reference.trial, ()))
        if ratio:
            found[score.trial] = Relative(trial=score.trial, reference=reference.trial, ratio=ratio)
    return found


def chosen_baseline(run: Run, scores: Sequence[Score]) -> str:
    """The engine that ratios refer to: the run's own choice, else the one with the most references.

    Among equals the first in the scores; "" when no engine has a VALID FP32 trial.
    """
    if run.header.baseline:
        return run.header.baseline
    engines = dict.fromkeys(s.engine for s in scores)
    counts = {engine: len(_references(scores, engine)) for engine in engines}
    most = max(counts, key=counts.__getitem__, default="")
    return most if counts.get(most) else ""


def references(scores: Iterable[Score], baseline: str) -> tuple[Score, ...]:
    """The trials that ratios refer to, one for each question and batch size that has one."""
    return tuple(_references(scores, baseline).values())


def _references(scores: Iterable[Score], baseline: str) -> dict[tuple[Question, int], Score]:
    """The exact label goes before a label of the same engine, the default allocator before another."""
    found: dict[tuple[Question, int], Score] = {}
    for score in sorted(scores, key=lambda s: _rank(s, baseline)):
        named = baseline in (score.engine, score.engine_name)
        if named and score.precision == Precision.FP32 and score.verdict is Verdict.VALID and score.is_timed:
            found.setdefault(_place(score), score)
    return found


def _rank(score: Score, baseline: str) -> tuple[bool, bool, str]:
    return score.engine != baseline, score.allocator != "default", score.trial


def _place(score: Score) -> tuple[Question, int]:
    return question(score), score.batch_size
