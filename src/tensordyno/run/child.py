"""A worker's process where it was started: its command line, its group, its end."""

import contextlib
import os
import signal
import subprocess
from typing import NamedTuple, Protocol

from tensordyno.records.base import Record
from tensordyno.run.interpreter import worker_command, worker_environment

_SHARED_GPUS = "CUDA_VISIBLE_DEVICES"


class ChildSetup(Record, frozen=True, kw_only=True):
    """How a worker is to be started, by us or by another rank of a launch."""

    python: str | None = None  # None: our own interpreter
    threads: int | None = None  # None: every core that the starting process may use
    allocator: str = "default"
    folder: str | None = None  # to work in; None: that of the starting process
    gpus: str | None = None  # CUDA_VISIBLE_DEVICES; None: that of the starting process


class Ends(NamedTuple):
    """The worker's ends of what connects it, as file descriptors. Whoever opened them closes them."""

    orders: int
    reports: int
    log: int


class Child(Protocol):
    """A worker's process as the parent sees it, wherever it was started."""

    @property
    def pid(self) -> int:
        """Process id."""

    @property
    def status(self) -> int | None:
        """Exit status once it has ended, negative for a signal; None: it has not, or nobody knows it."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the process has ended, at most `timeout_s` seconds; whether it has."""

    def kill(self) -> None:
        """End the process and everything it started, now; twice is harmless."""

    def how_it_ended(self) -> str:
        """A sentence about its end, which must have come."""


class LocalChild:
    """A child of this process, in a process session of its own, so that Ctrl-C reaches only us.

    Raises OSError when the interpreter does not start, StoreError when a foreign one cannot be shown where
    this package lies.
    """

    def __init__(self, setup: ChildSetup, ends: Ends) -> None:
        environment = worker_environment(setup.python, setup.threads, setup.allocator)
        if setup.gpus is not None:
            environment[_SHARED_GPUS] = setup.gpus
        self._process = subprocess.Popen(
            worker_command(setup.python, ends.reports),
            stdin=ends.orders,
            stdout=ends.log,
            stderr=ends.log,
            pass_fds=(ends.reports,),
            env=environment,
            cwd=setup.folder,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status once it has ended, negative for a signal."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the process has ended; whether it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.returncode is not None

    def kill(self) -> None:
        """End the process and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def how_it_ended(self) -> str:
        """A sentence about its end."""
        self._process.wait()
        return told(self._process.returncode)


def told(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"The worker ended with exit status {status} before it had finished."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the kernel's out-of-memory killer, or somebody's kill -9)" if -status == signal.SIGKILL else ""
    return f"The worker was killed by {name}{hint}."
