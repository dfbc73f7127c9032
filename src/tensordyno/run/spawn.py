"""A child process as the parent sees it: orders in, reports out, last words when it dies."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import FinishOrder, Order, Report
from tensordyno.records.wire import decode_report, encode_message

_SOURCE = Path(__file__).resolve().parents[2]  # what a foreign interpreter needs to find us
_LAST_WORDS_BYTES = 2000
_PATIENCE_S = 5.0  # for a worker to leave once it was told to
# glibc gives large blocks back to the system at every free, and PyTorch pays the page faults again
# for every activation; these two settings keep freed memory in the process (METHOD.md, Allocator).
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000"}


class WorkerDied(WorkerFailure):
    """The process is gone; `status` is its exit status, negative for a signal."""

    def __init__(self, sentence: str, status: int | None, last_words: str) -> None:
        super().__init__("worker-died", sentence)
        self.status = status
        self.last_words = last_words


class WorkerHung(WorkerFailure):
    """No report within the time allowed; the process has been killed."""

    def __init__(self, sentence: str, last_words: str) -> None:
        super().__init__("worker-hung", sentence, "Raise limits.build_seconds if it only needs longer.")
        self.last_words = last_words


class Worker:
    """One running child. It gets a process session of its own, so that Ctrl-C reaches only us."""

    def __init__(self, log: Path, python: str | None, threads: int | None, allocator: str) -> None:
        self._log = log
        read_end, write_end = os.pipe()
        self._reports = read_end
        self._pending = b""
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    _command(python, write_end),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=(write_end,),
                    env=_environment(python, threads, allocator),
                    start_new_session=True,
                )
        except OSError as wrong:
            os.close(read_end)
            raise WorkerDied(f"The worker did not start: {wrong}.", None, "") from wrong
        finally:
            os.close(write_end)

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def order(self, order: Order) -> None:
        """Send an order; a dead worker is noticed by `await_report`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode_message(order))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def await_report(self, timeout_s: float) -> Report:
        """The next report.

        Raises WorkerDied when the process ends first, WorkerHung (after killing it) when neither
        happens within `timeout_s` seconds.
        """
        deadline = monotonic() + timeout_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._reports], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                self.kill()
                raise WorkerHung(
                    f"No answer from the worker for {timeout_s:.0f} s; it was stopped.", self.last_words()
                )
            chunk = os.read(self._reports, 1 << 20)
            if not chunk:
                status = self._process.wait()
                raise WorkerDied(_how_it_ended(status), status, self.last_words())
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return decode_report(line)

    def finish(self) -> None:
        """Let the worker leave by itself, and make sure that it does."""
        self.order(FinishOrder())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        """End the worker and everything it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._reports >= 0:
            os.close(self._reports)
            self._reports = -1

    def last_words(self) -> str:
        """The end of what the worker printed."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _LAST_WORDS_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


def _command(python: str | None, reports_fd: int) -> list[str]:
    interpreter = python or sys.executable
    arguments = ["--reports", str(reports_fd), "--parent", str(os.getpid())]
    return [interpreter, "-m", "tensordyno.worker", *arguments]


def _environment(python: str | None, threads: int | None, allocator: str) -> dict[str, str]:
    environment = dict(os.environ)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["OMP_NUM_THREADS"] = str(threads or len(os.sched_getaffinity(0)))
    if allocator == "keep":
        environment.update(KEEP_FREED_MEMORY)
    if python:
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH", "")])
        )
    return environment


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"The worker ended with exit status {status} before it had finished."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the kernel's out-of-memory killer, or somebody's kill -9)" if -status == signal.SIGKILL else ""
    return f"The worker was killed by {name}{hint}."
