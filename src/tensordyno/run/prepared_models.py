"""Each network is prepared once, by a worker of its own, and kept for later runs."""

import shutil
from pathlib import Path

import msgspec

from tensordyno.datasets.base import open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.errors import DynoError, WorkerFailure
from tensordyno.models.cache_key import cache_key
from tensordyno.models.prepared import load_prepared
from tensordyno.records.messages import FailureReport, PrepareOrder
from tensordyno.records.trial import Trial
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.contender import TrialFailed, give_up
from tensordyno.run.failure import Failure, from_error, oom_kills
from tensordyno.run.spawn import Worker
from tensordyno.store.alone import alone

_SLOW = "Raise limits.build_seconds if it only needs longer."


class PreparedModels:
    """Finds or makes the folder of a trial's network. A failure is remembered, not repeated."""

    def __init__(self, logs: Path, patience_s: float) -> None:
        self._logs = logs
        self._patience_s = patience_s
        self._failures: dict[str, Failure] = {}

    def folder_for(self, trial: Trial) -> str:
        """The folder of the prepared network.

        Raises TrialFailed with the reason when the network cannot be prepared, StoreError when the cache
        cannot be written, which would be the end of every other trial too.
        """
        try:
            key = _key(trial)
        except DynoError as error:
            raise TrialFailed(from_error(error)) from error
        if key in self._failures:
            raise TrialFailed(self._failures[key])
        folder = cache_root() / "models" / key
        if not _is_whole(folder):
            try:
                with alone(folder):
                    self._prepare(trial, folder)
            except TrialFailed as failed:
                self._failures[key] = failed.failure
                raise
        return str(folder)

    def _prepare(self, trial: Trial, folder: Path) -> None:
        if _is_whole(folder):  # another session was faster
            return
        before = oom_kills()
        try:
            worker = Worker(self._logs / f"prepare-{folder.name}.log", None, trial.threads, "default")
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, before)) from error
        try:
            worker.order(PrepareOrder(trial=trial, folder=str(folder)))
            report = worker.await_report(self._patience_s, _SLOW)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, before)) from error
        finally:
            worker.kill()  # what it made is whole, or not there; an interrupted user does not wait
            for unfinished in folder.parent.glob(f".{folder.name}-*"):
                shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(report, FailureReport):
            give_up(report)


def _is_whole(folder: Path) -> bool:
    try:
        load_prepared(folder)
    except DynoError:
        return False
    return True


def _key(trial: Trial) -> str:
    """Names the network, its weights, and the images its reference answers belong to as it sees them."""
    dataset = open_dataset(to_test(trial))
    # skipping brings in images from beyond the first ones, how many is not known before they are read
    images = dataset.content_hash(None if trial.skip_unreadable else trial.verify_images)
    look = msgspec.json.encode(trial.preprocessing).decode()
    reference = f"{trial.dataset} {images} {trial.verify_images} {trial.skip_unreadable} {look}"
    return cache_key(trial.model, trial.weights, trial.seed, reference)
