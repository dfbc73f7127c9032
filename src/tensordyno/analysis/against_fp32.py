"""Finds, for a build in a faster number format, the FP32 build of the same network and compares answers."""

from typing import NamedTuple

import numpy as np

from tensordyno.analysis.paired import Paired, paired
from tensordyno.errors import StoreError
from tensordyno.records.outcome import Outcome
from tensordyno.store.reader import AnswerArray, Run
from tensordyno.vocabulary import Precision

_RESTORE = "Restore answers/ from a copy, or count the answers again in a new run."

Build = tuple[Run, Outcome]


class Against(NamedTuple):
    """The FP32 trial that a build's answers were compared with, and what came of it."""

    trial: str
    paired: Paired


class Fp32Builds:
    """The FP32 builds of a run that answered to labelled images."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._builds: dict[object, list[Outcome]] = {}
        for outcome in run.outcomes:
            if outcome.trial.precision is Precision.FP32 and outcome.accuracy:
                self._builds.setdefault(_network(outcome), []).append(outcome)

    def against(self, outcome: Outcome) -> Against | None:
        """A build's answers against FP32's: same network, weights, preprocessing and images.

        The reference is the same engine's where it has one, else any engine's (all were verified against
        one strict FP32 reference). None for FP32 itself, and without answers or a reference. Raises
        StoreError for answers that are broken or do not fit what was counted.
        """
        if outcome.trial.precision is Precision.FP32 or outcome.accuracy is None:
            return None
        builds = self._builds.get(_network(outcome), [])
        for build in sorted(builds, key=lambda build: _distance(outcome, build)):
            if found := paired_answers((self._run, outcome), (self._run, build)):
                return Against(build.trial.id, found)
        return None


def paired_answers(ours: Build, theirs: Build) -> Paired | None:
    """Two builds' answers compared; None unless both kept theirs, to the same images by content hash.

    Raises StoreError (`broken-answers`) for answers that are broken or do not fit what was counted.
    """
    mine, other = ours[1].accuracy, theirs[1].accuracy
    if mine is None or other is None or not mine.data_hash:
        return None
    if (mine.data_hash, mine.images) != (other.data_hash, other.images):
        return None
    tables = answers_of(*ours), answers_of(*theirs)
    if not all(map(len, tables)):
        return None
    try:
        return paired(*tables)
    except ValueError as wrong:  # the records say that the images were the same
        path = ours[0].folder.answer_file(ours[1].trial.id)
        raise StoreError("broken-answers", f"{path}: {wrong}.", _RESTORE) from wrong


def answers_of(run: Run, outcome: Outcome) -> AnswerArray:
    """The stored answers of a trial, int32 (images, 3); no rows where none were kept.

    A trial that counted nothing has none: a file, if there is one, is an earlier attempt's. Raises
    StoreError (`broken-answers`) when the file says something else than the counts of the trial.
    """
    if outcome.accuracy is None:
        return np.empty((0, 3), dtype=np.int32)
    answers = run.answers(outcome.trial.id)
    right = int((answers[:, 2] == 0).sum())
    counted = (outcome.accuracy.images, outcome.accuracy.top1_correct)
    if len(answers) and (len(answers), right) != counted:
        raise StoreError(
            "broken-answers",
            f"Trial {outcome.trial.id}: {len(answers)} answers are stored, {right} of them right; its record "
            f"counts {counted[0]} and {counted[1]}.",
            _RESTORE,
        )
    return answers


def _network(outcome: Outcome) -> object:
    """What must be equal, besides the images, before answers tell about the number format alone."""
    model = outcome.model
    return outcome.trial.model, (model.weights_hash, model.preprocessing) if model else None


def _distance(outcome: Outcome, build: Outcome) -> tuple[bool, ...]:
    """The smallest goes first: same engine with its options, same engine, same device, same batch size."""
    ours, theirs = outcome.trial, build.trial
    return (
        ours.engine.label != theirs.engine.label,
        ours.engine.name != theirs.engine.name,
        ours.device != theirs.device,
        ours.batch_size != theirs.batch_size,
    )
