"""Which trials may be compared: the same question, asked at the same boundary of the same devices."""

from collections.abc import Iterable
from itertools import groupby

from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record


class Question(Record, frozen=True, kw_only=True, order=True):
    """What must be equal before one trial may be called better than another."""

    task: str
    model: str
    dataset: str
    boundary: str
    device: str
    devices: int
    nodes: int


def question(score: Score) -> Question:
    """The question a trial answers."""
    return Question(
        task=score.task,
        model=score.model,
        dataset=score.dataset,
        boundary=score.boundary,
        device=score.device,
        devices=score.devices,
        nodes=score.nodes,
    )


def threads_that_matter(score: Score) -> int | None:
    """The CPU threads of a trial on the CPU; None on any other device, whose work they do not do."""
    return score.threads if score.device == "cpu" else None


def by_question(scores: Iterable[Score]) -> list[tuple[Question, list[Score]]]:
    """Scores by question, questions in alphabetical order, the scores of each in theirs."""
    ordered = sorted(scores, key=question)
    return [(key, list(members)) for key, members in groupby(ordered, key=question)]
