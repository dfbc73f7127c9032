"""The worker's end of the two pipes: orders in, reports out."""

import os
import traceback
from collections.abc import Iterator
from typing import BinaryIO

from tensordyno.engines.out_of_memory import is_out_of_memory, shortage_of
from tensordyno.errors import DynoError
from tensordyno.records.messages import FailureReport, Order, Report
from tensordyno.records.wire import decode_order, encode_message


class Conversation:
    """Orders from a stream, reports to a file descriptor of their own."""

    def __init__(self, orders: BinaryIO, reports_fd: int) -> None:
        self._orders = orders
        self._reports_fd = reports_fd

    def orders(self) -> Iterator[Order]:
        """Each order as it arrives; ends when the parent closes the pipe or dies."""
        for line in iter(self._orders.readline, b""):
            if line.strip():
                yield decode_order(line)

    def report(self, report: Report) -> None:
        """Send one report, whole."""
        rest = memoryview(encode_message(report))
        while rest:
            rest = rest[os.write(self._reports_fd, rest) :]

    def report_failure(self, error: BaseException) -> None:
        """Say why this worker gives up; the traceback travels along for the log and --debug."""
        self.report(failure_report(error))


def failure_report(error: BaseException) -> FailureReport:
    """An exception as a report."""
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, DynoError):
        return FailureReport(
            error=type(error).__name__,
            slug=error.slug,
            sentence=error.sentence,
            remedy=error.remedy,
            detail=detail,
        )
    if is_out_of_memory(error):
        sentence = f"out of memory: {_one_line(error) or 'the engine could not allocate'}"
        return FailureReport(
            error="MemoryError",
            slug="out-of-memory",
            sentence=sentence,
            detail=detail,
            shortage=shortage_of(error),
        )
    sentence = f"{type(error).__name__}: {_one_line(error)}"
    return FailureReport(error=type(error).__name__, slug="engine-error", sentence=sentence, detail=detail)


def _one_line(error: BaseException, limit: int = 300) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
