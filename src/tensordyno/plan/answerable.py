"""Whether a plan has what its answers need, before anything runs: weights, labels, images to calibrate on."""

from collections.abc import Sequence
from dataclasses import replace

from tensordyno.datasets.base import Dataset, open_dataset
from tensordyno.datasets.requests import to_calibrate, to_test
from tensordyno.errors import DataError, UsageError
from tensordyno.models.base import cards
from tensordyno.models.external import Origin, origin_of
from tensordyno.records.trial import Trial
from tensordyno.vocabulary import Task

_NEVER_TRAINED = (Origin.TORCHVISION, Origin.TIMM)  # their definitions come without weights


def check_answerable(trials: Sequence[Trial]) -> None:
    """Raise for the first trial that could not give what it is for.

    UsageError `random-weights`: an accuracy of random weights. DataError `no-labels`: right answers to images
    without labels; and what a dataset itself says of an empty or unreadable folder, be it to test or to
    calibrate on. Each dataset is opened once, its images are not read.
    """
    asked = [trial for trial in trials if trial.task is Task.ACCURACY]
    for trial in asked:
        _need_weights(trial)
    for request in dict.fromkeys(to_test(trial) for trial in asked):
        _need_labels(open_dataset(request))
    requests = (to_calibrate(trial) for trial in trials if trial.calibration)
    for request in dict.fromkeys(replace(request, shuffle=0) for request in requests):
        open_dataset(request)


def _need_labels(dataset: Dataset) -> None:
    if not dataset.labelled:
        raise DataError(
            "no-labels",
            f"{dataset.name} has no labels, so right answers cannot be counted.",
            "Give --data a folder with a sub-folder for each class, or with a labels.csv (file,label).",
        )


def _need_weights(trial: Trial) -> None:
    origin, card = origin_of(trial.model), cards().get(trial.model)
    packaged = card is not None and card.weights is not None
    if trial.weights or packaged or origin not in (*_NEVER_TRAINED, Origin.CATALOGUE):
        return
    raise UsageError(
        "random-weights",
        f"{trial.model} has random weights, whose answers are guesses.",
        "Give a trained checkpoint: --weights FILE",
    )
