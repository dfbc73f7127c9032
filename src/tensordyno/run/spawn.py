"""A child process as the parent sees it: orders in, reports out, last words when it dies."""

import contextlib
import os
import select
from pathlib import Path
from time import monotonic

import msgspec

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import FinishOrder, Order, Report
from tensordyno.records.wire import decode_report, encode_message
from tensordyno.run.child import Child, ChildSetup, Ends, LocalChild
from tensordyno.run.launched import Launch
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
    """One running worker: a child of ours, or of another rank of the launch that we are part of.

    Raises WorkerDied when the interpreter does not start, StoreError when the log cannot be written,
    and what `Launch.start` raises.
    """

    def __init__(
        self,
        log: Path,
        python: str | None,
        threads: int | None,
        allocator: str,
        rank: int = 0,
        launch: Launch | None = None,
    ) -> None:
        self._log = log
        self._pending = b""
        setup = ChildSetup(python=python, threads=threads, allocator=allocator)
        try:
            output = log.open("ab")
        except OSError as wrong:
            raise explained(wrong, log) from wrong
        with output:
            self._log_start = output.tell()  # an earlier attempt's words are not this one's
            orders, self._orders = os.pipe()
            self._reports, reports = os.pipe()
            try:
                self._child = _start(setup, Ends(orders, reports, output.fileno()), rank, launch)
            except BaseException:
                self._hang_up()
                raise
            finally:
                os.close(orders)
                os.close(reports)

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._child.pid

    def order(self, order: Order) -> None:
        """Send an order; a dead worker is noticed by `await_report`."""
        if self._orders < 0:
            return
        rest = memoryview(encode_message(order))
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self._orders, rest) :]

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
        self._child.wait(_PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        """End the worker and everything it started, now; twice is harmless."""
        if self._reports >= 0:
            self._child.kill()
            self._hang_up()

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
            raise WorkerDied("The worker was ended before.", self._child.status, self.last_words())
        while not self._can_read(min(_GLANCE_S, max(0.0, deadline - monotonic()))):
            if self._child.wait(0) and not self._can_read(0):
                break
            if monotonic() >= deadline:
                self.kill()
                sentence = f"No answer from the worker for {timeout_s:g} s; it was stopped."
                raise WorkerHung(sentence, remedy, self.last_words())
        else:
            if chunk := os.read(self._reports, 1 << 20):
                return chunk
        raise WorkerDied(self._child.how_it_ended(), self._child.status, self.last_words())

    def _can_read(self, timeout_s: float) -> bool:
        return bool(select.select([self._reports], [], [], timeout_s)[0])

    def _hang_up(self) -> None:
        os.close(self._orders)
        os.close(self._reports)
        self._orders = self._reports = -1


def _start(setup: ChildSetup, ends: Ends, rank: int, launch: Launch | None) -> Child:
    try:
        if rank and launch:
            return launch.start(rank, setup, ends)
        return LocalChild(setup, ends)
    except OSError as wrong:
        raise WorkerDied(f"The worker did not start: {wrong}.", None, "") from wrong
