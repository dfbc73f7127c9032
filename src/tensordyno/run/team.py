"""The workers of one build: one process a rank, ordered together and heard together."""

import os
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import (
    FailureReport,
    Order,
    ProgressReport,
    ReadyReport,
    Report,
    StartOrder,
)
from tensordyno.records.trial import Rank, Trial
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.failure import Failure, from_error, from_report, oom_kills
from tensordyno.vocabulary import Verdict

R = TypeVar("R", bound=Report)
Hear = Callable[[ProgressReport], None]

SLOW_BUILD = "Raise limits.build_seconds if it only needs longer."


class TrialFailed(Exception):
    """The trial is over; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Worker(Protocol):
    """What a team needs of a process: `spawn.Worker` is one."""

    @property
    def pid(self) -> int:
        """Process id."""

    def order(self, order: Order) -> None:
        """Send an order."""

    def await_report(self, timeout_s: float, remedy: str = "") -> Report:
        """The next report; raises WorkerFailure."""

    def finish(self) -> None:
        """Let it leave by itself, and make sure that it does."""

    def kill(self) -> None:
        """End it now."""


class Team:
    """The ranks of one build. Every method that waits for them may raise TrialFailed.

    Starting orders the import of the engine at once and waits for nothing: several teams may import side by
    side, which takes none of them longer where there are cores enough.
    """

    def __init__(self, trial: Trial, folder: str, workers: Sequence[Worker], *, bind: bool = True) -> None:
        self._workers = tuple(workers)
        self._oom_kills = oom_kills()
        self.readies: tuple[ReadyReport, ...] = ()
        for index, worker in enumerate(self._workers):
            rank = Rank(index=index, size=len(self._workers), bind=bind)
            worker.order(StartOrder(trial=trial, folder=folder, rank=rank, cache=str(cache_root())))

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids in rank order."""
        return tuple(worker.pid for worker in self._workers)

    def ready(self, patience_s: float) -> None:
        """Wait until each rank has its engine's receipt."""
        if not self.readies:
            self.readies = tuple(self._expect(ReadyReport, patience_s, SLOW_BUILD, None))

    def ask(
        self, order: Order, kind: type[R], patience_s: float, remedy: str, hear: Hear | None = None
    ) -> list[R]:
        """Give all ranks an order and wait for their answers, in rank order."""
        for worker in self._workers:
            worker.order(order)
        return self._expect(kind, patience_s, remedy, hear)

    def ask_in_turn(
        self, order: Order, kind: type[R], patience_s: float, remedy: str, hear: Hear | None = None
    ) -> list[R]:
        """As `ask`, one rank after the other: compiling side by side would spoil what each measures."""
        answers: list[R] = []
        for worker in self._workers:
            worker.order(order)
            answers.append(self._answer(worker, kind, patience_s, remedy, hear))
        return answers

    def finish(self) -> None:
        """Let the ranks leave."""
        for worker in self._workers:
            worker.finish()

    def kill(self) -> None:
        """End the ranks now."""
        for worker in self._workers:
            worker.kill()

    def _expect(self, kind: type[R], patience_s: float, remedy: str, hear: Hear | None) -> list[R]:
        return [self._answer(worker, kind, patience_s, remedy, hear) for worker in self._workers]

    def _answer(self, worker: Worker, kind: type[R], patience_s: float, remedy: str, hear: Hear | None) -> R:
        """A worker's next report but for signs of progress, each of which earns it new patience."""
        try:
            while isinstance(report := worker.await_report(patience_s, remedy), ProgressReport):
                if hear:
                    hear(report)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error, self._oom_kills)) from error
        if isinstance(report, FailureReport):
            raise TrialFailed(from_report(report))
        if not isinstance(report, kind):
            sentence = f"The worker answered '{type(report).__name__}' where '{kind.__name__}' was due."
            raise TrialFailed(Failure(Verdict.CRASHED, sentence, "broken-conversation"))
        return report


def threads_of(trial: Trial, *, share: bool = True) -> int | None:
    """CPU threads of each rank: those asked for, else an equal share; None: one for each core that it has.

    Without `share` somebody else has dealt out the cores.
    """
    if trial.threads or trial.devices == 1 or not share:
        return trial.threads
    return max(1, len(os.sched_getaffinity(0)) // trial.devices)
