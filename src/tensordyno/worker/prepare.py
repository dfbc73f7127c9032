"""Makes a network ready once for all engines: built, exported, with its reference answers."""

from pathlib import Path

import numpy as np

from tensordyno.clock import RealClock
from tensordyno.datasets.base import FloatArray, InputFormat, open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.records.messages import PreparedReport, PrepareOrder
from tensordyno.records.model import ModelCard
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import Trial


def prepare_model(order: PrepareOrder) -> PreparedReport:
    """Build, export and store the trial's network in the order's folder."""
    from tensordyno.models.prepared import prepare
    from tensordyno.models.resolve import resolve

    clock = RealClock()
    start = clock.now()
    trial = order.trial
    resolved = resolve(trial.model, trial.weights, trial.seed, trial.preprocessing)
    images = reference_images(trial, resolved.card)
    prepared = prepare(resolved, Path(order.folder), images)
    phase = Phase(name="prepare", start_s=start, stop_s=clock.now())
    return PreparedReport(model=prepared.facts, phase=phase)


def reference_images(trial: Trial, card: ModelCard) -> FloatArray:
    """The images that every build of this trial's network must answer like the reference."""
    wanted = InputFormat(shape=card.input_shape, classes=card.classes, preprocessing=card.preprocessing)
    batches = open_dataset(to_test(trial)).batches(trial.verify_images, wanted, trial.verify_images)
    return np.concatenate([batch.images for batch in batches])
