"""A child process as the parent sees it: orders in, reports out, last words when it dies."""

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path
from time import monotonic

import msgspec

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import FinishOrder, Order, Report
from tensordyno.records.wire import decode_report, encode_message
from tensordyno.run.interpreter import worker_command, worker_environment
from tensordyno.store.writer import explained

_LAST_WORDS_BYTES = 2000
_LAST_LINE = 200  # characters of it that a reason repeats
_PATIENCE_S = 5.0  # for a worker to leave once it was told to
_GLANCE_S = 0.5  # a dead worker's own children may hold its pipe open: look at the process too


class WorkerDied(WorkerFailure):
    """The process is gone; `status` is its exit status, negative for a signal."""

    def __init__(self, sentence: str, status: int | None, last_words: str) -> None:
        last_line = last_words.rpartition("\n")[2].strip()[:_LAST_LINE]
        super().__init__("worker-died", f"{sentence} It said: {last_line}" if last_line else sentence)
        self.status = status
        self.last_words = last_words


class WorkerHung(WorkerFailure):
    """No report within the time allowed; the process has been killed."""

    def __init__(self, sentence: str, remedy: str, last_words: str) -> None:
        super().__init__("worker-hung", sentence, remedy)
        self.last_words = last_words


class Worker:
    """One running child. It gets a process session of its own, so that Ctrl-C reaches only us.

    Raises WorkerDied when the interpreter does not start, StoreError when the log cannot be written.
    """

    def __init__(self, log: Path, python: str | None, threads: int | None, allocator: str) -> None:
        self._log = log
        self._pending = b""
        environment = worker_environment(python, threads, allocator)
        try:
            output = log.open("ab")
        except OSError as wrong:
            raise explained(wrong, log) from wrong
        with output:
            self._log_start = output.tell()  # an earlier attempt's words are not this one's
            self._reports, write_end = os.pipe()
            try:
                self._process = subprocess.Popen(
                    worker_command(python, write_end),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=(write_end,),
                    env=environment,
                    start_new_session=True,
                )
            except OSError as wrong:
                os.close(self._reports)
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
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(encode_message(order))
            self._process.stdin.flush()

    def await_report(self, timeout_s: float, remedy: str = "") -> Report:
        """The next report; `remedy` says what to change when the time is too short.

        Raises WorkerDied when the process ends first, WorkerHung (after killing it) when neither
        happens within `timeout_s` seconds, WorkerFailure (after killing it) for a line that is no report.
        """
        deadline = monotonic() + timeout_s
        while b"\n" not in self._pending:
            self._pending += self._next_bytes(deadline, timeout_s, remedy)
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            return decode_report(line)
        except msgspec.DecodeError as wrong:
            self.kill()
            sentence = f"The worker's answer cannot be read: {wrong}."
            raise WorkerFailure("broken-conversation", sentence) from wrong

    def finish(self) -> None:
        """Let the worker leave by itself, and make sure that it does."""
        if self._reports < 0:
            return
        self.order(FinishOrder())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        """End the worker and everything it started, now; twice is harmless."""
        if self._reports < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        os.close(self._reports)
        self._reports = -1

    def last_words(self) -> str:
        """The end of what the worker printed."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(self._log_start, self._log.stat().st_size - _LAST_WORDS_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _next_bytes(self, deadline: float, timeout_s: float, remedy: str) -> bytes:
        """Something the worker wrote. Raises WorkerDied or WorkerHung."""
        if self._reports < 0:
            raise WorkerDied("The worker was ended before.", self._process.returncode, self.last_words())
        while not self._can_read(min(_GLANCE_S, max(0.0, deadline - monotonic()))):
            if self._process.poll() is not None and not self._can_read(0):
                break
            if monotonic() >= deadline:
                self.kill()
                sentence = f"No answer from the worker for {timeout_s:g} s; it was stopped."
                raise WorkerHung(sentence, remedy, self.last_words())
        else:
            if chunk := os.read(self._reports, 1 << 20):
                return chunk
        status = self._process.wait()
        raise WorkerDied(_how_it_ended(status), status, self.last_words())

    def _can_read(self, timeout_s: float) -> bool:
        return bool(select.select([self._reports], [], [], timeout_s)[0])


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"The worker ended with exit status {status} before it had finished."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the kernel's out-of-memory killer, or somebody's kill -9)" if -status == signal.SIGKILL else ""
    return f"The worker was killed by {name}{hint}."
