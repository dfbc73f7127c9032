"""Each network is prepared once, by a worker of its own, and kept for later runs."""

import os
import shutil
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tensordyno.datasets.base import open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.errors import DynoError, WorkerFailure
from tensordyno.models.cache_key import cache_key
from tensordyno.models.prepared import load_prepared
from tensordyno.records.messages import FailureReport, PrepareOrder
from tensordyno.records.trial import Trial
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.contender import give_up
from tensordyno.run.failure import Failure, from_error, oom_kills
from tensordyno.run.spawn import Worker
from tensordyno.run.team import TrialFailed
from tensordyno.store.alone import alone

_CORES_A_WORKER = 2  # an export is one thread's work, the reference answers are everybody's

_SLOW = "Raise limits.build_seconds if it only needs longer."


class _Begun(NamedTuple):
    """A preparation under way, and what to give up when it is over: the folder's lock."""

    key: str
    folder: Path
    worker: Worker
    oom_kills: int | None
    lock: ExitStack


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
        folder = _folder(key)
        if not _is_whole(folder):
            begun = self._begin(trial, key, trial.threads)
            if begun:
                self._end(begun)
        return str(folder)

    def prepare_ahead(self, trials: Iterable[Trial]) -> None:
        """Prepare the networks of all these trials side by side, as many as there are cores for.

        On a small machine nothing happens: each network is then prepared in its turn. Failures are kept for
        `folder_for`. Raises StoreError.
        """
        lacking, cores = self._lacking(trials), len(os.sched_getaffinity(0))
        room = min(cores // _CORES_A_WORKER, len(lacking))
        running: deque[_Begun] = deque()
        try:
            for trial in lacking if room > 1 else ():
                if len(running) == room:
                    self._end_quietly(running.popleft())
                with suppress(TrialFailed):
                    begun = self._begin(trial, _key(trial), cores // room)
                    running.extend([begun] if begun else [])
            while running:
                self._end_quietly(running.popleft())
        finally:
            for begun in running:
                begun.worker.kill()
                begun.lock.close()

    def _lacking(self, trials: Iterable[Trial]) -> list[Trial]:
        """One trial for each network that is not prepared yet, in the order of their keys.

        Two sessions that lock folders in the same order cannot wait for each other for ever.
        """
        found: dict[str, Trial] = {}
        for trial in trials:
            with suppress(DynoError):
                found.setdefault(_key(trial), trial)
        return [found[key] for key in sorted(found) if not _is_whole(_folder(key))]

    def _end_quietly(self, begun: _Begun) -> None:
        with suppress(TrialFailed):
            self._end(begun)

    def _begin(self, trial: Trial, key: str, threads: int | None) -> _Begun | None:
        """Start a preparation; None if another session was faster. Raises TrialFailed."""
        folder = _folder(key)
        with ExitStack() as lock:
            lock.enter_context(alone(folder))
            if _is_whole(folder):
                return None
            before = oom_kills()
            try:
                worker = Worker(self._logs / f"prepare-{folder.name}.log", None, threads, "default")
            except WorkerFailure as error:
                raise self._failed(key, from_error(error, before)) from error
            worker.order(PrepareOrder(trial=trial, folder=str(folder)))
            return _Begun(key, folder, worker, before, lock.pop_all())

    def _end(self, begun: _Begun) -> None:
        """Wait for a preparation and tidy up after it. Raises TrialFailed, StoreError."""
        try:
            report = begun.worker.await_report(self._patience_s, _SLOW)
        except WorkerFailure as error:
            raise self._failed(begun.key, from_error(error, begun.oom_kills)) from error
        finally:
            begun.worker.kill()  # what it made is whole, or not there; an interrupted user does not wait
            for unfinished in begun.folder.parent.glob(f".{begun.folder.name}-*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            begun.lock.close()
        if isinstance(report, FailureReport):
            try:
                give_up(report)
            except TrialFailed as failed:
                raise self._failed(begun.key, failed.failure) from failed

    def _failed(self, key: str, failure: Failure) -> TrialFailed:
        self._failures[key] = failure
        return TrialFailed(failure)


def _folder(key: str) -> Path:
    return cache_root() / "models" / key


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
