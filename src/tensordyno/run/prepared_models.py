"""Each network is prepared once, by a worker of its own, and kept for later runs."""

import os
from pathlib import Path

from tensordyno.datasets.base import DataRequest, open_dataset
from tensordyno.errors import DynoError, WorkerFailure
from tensordyno.models.cache_key import cache_key
from tensordyno.models.prepared import load_prepared
from tensordyno.records.messages import FailureReport, PrepareOrder
from tensordyno.records.trial import Trial
from tensordyno.run.contender import TrialFailed
from tensordyno.run.failure import Failure, from_error, from_report, oom_kills
from tensordyno.run.spawn import Worker


def cache_root() -> Path:
    """Where prepared networks are kept: $TENSORDYNO_CACHE, else the user's cache folder."""
    explicit = os.environ.get("TENSORDYNO_CACHE")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tensordyno"


class PreparedModels:
    """Finds or makes the folder of a trial's network. A failure is remembered, not repeated."""

    def __init__(self, logs: Path, patience_s: float) -> None:
        self._logs = logs
        self._patience_s = patience_s
        self._failures: dict[str, Failure] = {}

    def folder_for(self, trial: Trial) -> str:
        """The folder of the prepared network.

        Raises TrialFailed with the reason when the network cannot be prepared.
        """
        try:
            key = _key(trial)
        except DynoError as error:
            raise TrialFailed(from_error(error, None)) from error
        if key in self._failures:
            raise TrialFailed(self._failures[key])
        folder = cache_root() / "models" / key
        if not _is_whole(folder):
            try:
                self._prepare(trial, folder)
            except TrialFailed as failed:
                self._failures[key] = failed.failure
                raise
        return str(folder)

    def _prepare(self, trial: Trial, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"prepare-{folder.name}.log"
        before = oom_kills()
        try:
            worker = Worker(log, None, trial.threads, "default")
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, before)) from error
        try:
            worker.order(PrepareOrder(trial=trial, folder=str(folder)))
            report = worker.await_report(self._patience_s)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, before)) from error
        finally:
            worker.finish()
        if isinstance(report, FailureReport):
            raise TrialFailed(from_report(report))


def _is_whole(folder: Path) -> bool:
    try:
        load_prepared(folder)
    except DynoError:
        return False
    return True


def _key(trial: Trial) -> str:
    """Names the network, its weights and the images its reference answers belong to."""
    dataset = open_dataset(
        DataRequest(name=trial.dataset, seed=trial.seed, skip_unreadable=trial.skip_unreadable)
    )
    reference = f"{trial.dataset} {dataset.content_hash()} {trial.verify_images} {trial.skip_unreadable}"
    return cache_key(trial.model, trial.weights, trial.seed, reference)
