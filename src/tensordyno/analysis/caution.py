"""A warning as a value: its slug in MESSAGES.md, one sentence, and the trials concerned."""

from collections.abc import Callable, Iterable, Sequence

from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.store.reader import Run


class Warning(Record, frozen=True, kw_only=True):
    """Something a reader must know before using a number."""

    slug: str
    sentence: str
    trials: tuple[str, ...] = ()  # ids; empty: the whole run


Check = Callable[[Run, Sequence[Score]], list[Warning]]


def about(slug: str, sentence: str, concerned: Iterable[Score]) -> list[Warning]:
    """One warning about these trials, or none when there are none."""
    trials = tuple(score.trial for score in concerned)
    return [Warning(slug=slug, sentence=sentence, trials=trials)] if trials else []


def measured(scores: Iterable[Score]) -> list[Score]:
    """Trials with a throughput that a reader may look at."""
    return [score for score in scores if score.is_timed]
