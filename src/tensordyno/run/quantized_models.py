"""Each network is calibrated for INT8 once, by a worker of its own, and every engine uses the result."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from tensordyno.errors import WorkerFailure
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.messages import FailureReport, ProgressReport, QuantizedReport, QuantizeOrder, Report
from tensordyno.records.trial import Trial
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.contender import give_up
from tensordyno.run.failure import Failure, from_error, oom_kills
from tensordyno.run.spawn import Worker
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Verdict

_SLOW = "Raise limits.build_seconds if it only needs longer."
Hear = Callable[[ProgressReport], None]


class QuantizedModels:
    """Finds or makes the folder of a network's Q/DQ files. An answer is remembered, a failure too.

    `patience_s` is the longest silence of a worker that is not taken for its end. With `sensitivity` the
    layers are ranked even when none is to stay in FP32; `table` is a calibration table to use instead of
    calibrating.
    """

    def __init__(self, logs: Path, patience_s: float, *, sensitivity: bool = False, table: str = "") -> None:
        self._logs = logs
        self._patience_s = patience_s
        self._sensitivity = sensitivity
        self._table = table
        self._known: dict[str, tuple[str, CalibrationFacts] | Failure] = {}

    def folder_for(self, trial: Trial, prepared_folder: str, progress: Hear) -> tuple[str, CalibrationFacts]:
        """The folder with the Q/DQ files of an INT8 trial, and the summary of its calibration.

        `progress` hears every ProgressReport of the worker. Raises TrialFailed with the reason when the
        network cannot be calibrated, StoreError when the cache cannot be written.
        """
        key = _key(trial, prepared_folder)
        if key not in self._known:
            try:
                answer = self._quantize(trial, prepared_folder, f"quantize-{key}", progress)
            except TrialFailed as failed:
                self._known[key] = failed.failure
                raise
            self._known[key] = answer.folder, msgspec.structs.replace(answer.facts, reused=True)
            return answer.folder, answer.facts
        known = self._known[key]
        if isinstance(known, Failure):
            raise TrialFailed(known)
        return known

    def _quantize(self, trial: Trial, prepared_folder: str, name: str, progress: Hear) -> QuantizedReport:
        order = QuantizeOrder(
            trial=trial,
            folder=prepared_folder,
            cache=str(cache_root()),
            sensitivity=self._sensitivity,
            table=self._table,
        )
        before = oom_kills()
        try:
            worker = Worker(self._logs / f"{name}.log", None, trial.threads, "default")
            try:
                worker.order(order)
                report = self._answer(worker, progress)
            finally:
                worker.kill()  # what it made is whole, or not there; an interrupted user does not wait
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, before)) from error
        return _quantized(report)

    def _answer(self, worker: Worker, progress: Hear) -> Report:
        """The first report that is more than a sign of life."""
        while isinstance(report := worker.await_report(self._patience_s, _SLOW), ProgressReport):
            progress(report)
        return report


def _quantized(report: Report) -> QuantizedReport:
    if isinstance(report, QuantizedReport):
        return report
    if not isinstance(report, FailureReport):
        sentence = f"The worker answered '{type(report).__name__}' where 'QuantizedReport' was due."
        raise TrialFailed(Failure(Verdict.CRASHED, sentence, "broken-conversation"))
    give_up(report)


def _key(trial: Trial, prepared_folder: str) -> str:
    """Names what is calibrated, how, and on which images: not the engine, the device or the batch size."""
    asked = (
        prepared_folder,
        trial.calibration,
        trial.dataset,
        trial.hold_out,
        trial.preprocessing,
        trial.seed,
        trial.skip_unreadable,
        trial.accuracy_images,  # none of these may be among the calibration images
    )
    return sha256(msgspec.json.encode(asked)).hexdigest()[:12]
