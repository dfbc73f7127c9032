"""Asks a built network about labelled images, and keeps what it answered to each."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tensordyno.analysis.verification import answers_of, count_correct
from tensordyno.clock import Clock
from tensordyno.datasets.base import InputFormat, open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.engines.base import Engine
from tensordyno.records.build import Accuracy
from tensordyno.records.messages import ProgressReport
from tensordyno.records.model import ModelFacts
from tensordyno.records.trial import Trial
from tensordyno.scenarios.classify import logits_of_batches
from tensordyno.worker.progress import Spaced

Answers = NDArray[np.int32]


def right_answers(
    engine: Engine, trial: Trial, facts: ModelFacts, clock: Clock, say: Callable[[ProgressReport], None]
) -> tuple[Accuracy | None, Answers]:
    """Count right answers on the trial's labelled images; None and no rows when there are none.

    The rows are those of `answers_of`, in the dataset's order; `say` hears how many there are.
    """
    dataset = open_dataset(to_test(trial))
    if not dataset.labelled or not trial.accuracy_images:
        return None, np.empty((0, 3), np.int32)
    wanted = InputFormat(shape=facts.input_shape, classes=facts.classes, preprocessing=facts.preprocessing)
    batches = dataset.batches(max(trial.batch_size, 32), wanted, trial.accuracy_images)
    spaced, rows = Spaced(say, clock), [np.empty((0, 3), np.int32)]
    answered, total = 0, min(trial.accuracy_images, dataset.count or trial.accuracy_images)
    for logits, labels in logits_of_batches(engine, batches):
        rows.append(answers_of(logits, labels))
        answered += len(labels)
        spaced("counting right answers", answered, total)
    answers = np.concatenate(rows)
    if not len(answers):  # every image was unreadable
        return None, answers
    accuracy = Accuracy(
        images=len(answers),
        top1_correct=count_correct(answers, 1),
        top5_correct=count_correct(answers, 5),
        dataset=dataset.name,
        data_hash=dataset.content_hash(trial.accuracy_images),
        unreadable=len(dataset.unreadable),
    )
    return accuracy, answers
