"""Living teams between two trials: started ahead of their turn, or kept for a later trial."""

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from tensordyno.device import device_kind
from tensordyno.engines.base import engine_class
from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import ReleasedReport, ReleaseOrder
from tensordyno.records.trial import Trial, build_key
from tensordyno.run.failure import from_error
from tensordyno.run.team import Team, TrialFailed

_CORES_A_START = 4  # fewer, and frameworks that are imported side by side slow each other down
_RELEASE_PATIENCE_S = 60.0


class MakeTeam(Protocol):
    """Starts the workers of a trial. Raises WorkerFailure."""

    def __call__(self, trial: Trial, folder: str) -> Team:
        """The team, importing its engine; `folder` is that of the prepared network."""


class Pool:
    """Hands out a team for each trial and takes back those that still have work to come."""

    def __init__(self, make: MakeTeam, trials: Iterable[Trial]) -> None:
        self._make = make
        self._teams: dict[bytes, Team] = {}
        self._to_come = Counter(_key(trial) for trial in trials)

    def begin(self, trials: Iterable[tuple[Trial, str]]) -> None:
        """Start teams for the next trials, each with its network's folder, while there are cores for them."""
        room = len(os.sched_getaffinity(0)) // _CORES_A_START
        for trial, folder in trials:
            room -= trial.devices
            if room < 0:
                return
            if _key(trial) not in self._teams:
                with suppress(WorkerFailure):  # `take` will meet it again
                    self._teams[_key(trial)] = self._make(trial, folder)

    def take(self, trial: Trial, folder: str) -> Team:
        """A team for this trial, new or not. Raises TrialFailed when no process can be started."""
        self._to_come[_key(trial)] -= 1
        team = self._teams.pop(_key(trial), None)
        try:
            return team or self._make(trial, folder)
        except WorkerFailure as error:
            raise TrialFailed(from_error(error)) from error

    def give_back(self, trial: Trial, team: Team, *, healthy: bool) -> None:
        """A trial is over: its team frees its memory and waits for the next batch size, or leaves."""
        reusable = device_kind(trial.device) in engine_class(trial.engine.name).resizes
        if not (healthy and reusable and self._to_come[_key(trial)] > 0):
            team.finish()
            return
        try:
            team.ask(ReleaseOrder(), ReleasedReport, _RELEASE_PATIENCE_S, "")
        except TrialFailed:
            team.kill()
        else:
            self._teams[_key(trial)] = team

    def again(self, trial: Trial) -> None:
        """A trial that was taken comes back later."""
        self._to_come[_key(trial)] += 1

    def forget(self, trial: Trial) -> None:
        """A trial that will not be run after all; its team leaves if nobody else wants it."""
        self._to_come[_key(trial)] -= 1
        if self._to_come[_key(trial)] <= 0 and _key(trial) in self._teams:
            self._teams.pop(_key(trial)).finish()

    def pids(self) -> tuple[int, ...]:
        """Process ids of all who wait."""
        return tuple(pid for team in self._teams.values() for pid in team.pids)

    def close(self, *, now: bool = False) -> None:
        """Let everybody leave; `now` without asking."""
        while self._teams:
            _, team = self._teams.popitem()
            team.kill() if now else team.finish()


def _key(trial: Trial) -> bytes:
    return msgspec.json.encode(build_key(trial))


def log_of(folder: Path, trial: Trial, rank: int) -> Path:
    """Where a rank's worker prints: the trial's log, one a rank where there are several."""
    return folder / (f"{trial.id}.log" if trial.devices == 1 else f"{trial.id}.rank{rank}.log")
