"""A resumed run goes on where it began: on the same hardware, and on the same axis of time."""

import time
from datetime import UTC, datetime

from tensordyno.clock import put_ahead
from tensordyno.errors import UsageError
from tensordyno.records.machine import MachineFacts
from tensordyno.store.reader import Run

_SAME_S = 5.0  # wall clocks are set right by less than this while a machine runs


def check_machine(run: Run, here: MachineFacts) -> None:
    """Raises UsageError where the run began on other processors or GPUs: its trials could not be compared."""
    there = run.header.machine
    if (there.cpu, there.gpus) != (here.cpu, here.gpus):
        raise UsageError(
            "other-machine",
            f"{run.folder.root} began on {_named(there)}; this machine is {_named(here)}.",
            f"Resume it there, or run its spec here: dyno run {run.folder.spec}",
        )


def go_on(run: Run) -> None:
    """Put the clock ahead if it began anew since the run did: a restart, or a machine of the same kind."""
    behind_s = seconds_behind(run, datetime.now(UTC), time.perf_counter())
    if behind_s:
        put_ahead(behind_s)


def seconds_behind(run: Run, wall: datetime, now_s: float) -> float:
    """How far a monotonic clock that shows `now_s` lies behind the run's; 0.0 if it is the same clock.

    The run's header holds both clocks at its start. Where wall clocks disagree, what is measured from now on
    lies behind all that was measured before.
    """
    passed_s = (wall - datetime.fromisoformat(run.header.started)).total_seconds()
    behind_s = run.header.clock_start_s + passed_s - now_s
    latest_s = max(
        (phase.stop_s for o in run.outcomes for phase in o.phases), default=run.header.clock_start_s
    )
    if abs(behind_s) < _SAME_S and now_s > latest_s:
        return 0.0
    return max(behind_s, latest_s + 1.0 - now_s)


def _named(machine: MachineFacts) -> str:
    return " with ".join([machine.cpu, *([", ".join(machine.gpus)] if machine.gpus else [])])
