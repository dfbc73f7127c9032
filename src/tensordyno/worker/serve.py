"""Answers orders one after the other; the first failure ends the worker."""

import sys
import traceback
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

from tensordyno.clock import RealClock
from tensordyno.engines.out_of_memory import memory_errors, shortage_of
from tensordyno.errors import DynoError, WorkerFailure
from tensordyno.records.messages import (
    BuildOrder,
    BurstOrder,
    CeilingsOrder,
    FailureReport,
    FinishOrder,
    FitOrder,
    FitReport,
    Order,
    PrepareOrder,
    QuantizeOrder,
    ReadyReport,
    ReceiptOrder,
    ReleasedReport,
    ReleaseOrder,
    StartOrder,
)
from tensordyno.worker.build import Build, make_engine
from tensordyno.worker.ceilings import measure_ceilings
from tensordyno.worker.conversation import Conversation, failure_report
from tensordyno.worker.prepare import prepare_model
from tensordyno.worker.process import process_facts, thread_count
from tensordyno.worker.quantize import quantize_model


def serve(conversation: Conversation) -> int:
    """Serve until told to finish; returns the exit status."""
    service = _Service(conversation)
    try:
        for order in conversation.orders():
            if isinstance(order, FinishOrder):
                break
            service.answer(order)
    except Exception as error:
        with suppress(OSError):  # a log on a full disk
            traceback.print_exception(error, file=sys.stderr)
        conversation.report_failure(error)
        return 1
    finally:
        service.close()
    return 0


class _Service:
    """Holds the build between the order that makes it and the orders that measure it."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._build: Build | None = None

    def answer(self, order: Order) -> None:
        """Do what the order says and report it."""
        say = self._conversation.report
        if isinstance(order, PrepareOrder):
            say(prepare_model(order))
        elif isinstance(order, QuantizeOrder):
            say(quantize_model(order, say))
        elif isinstance(order, ReceiptOrder):
            say(_receipt(order))
        elif isinstance(order, CeilingsOrder):
            say(measure_ceilings(order))
        elif isinstance(order, StartOrder):
            self._build = Build(order)
            say(self._build.ready())
        elif isinstance(order, BuildOrder):
            say(self._started().built(order, say))
        elif isinstance(order, FitOrder):
            say(_fit(self._started(), order))
        elif isinstance(order, ReleaseOrder):
            self._started().release()
            say(ReleasedReport())
        elif isinstance(order, BurstOrder):
            scenario = self._started().scenario
            if scenario is None:
                raise WorkerFailure("broken-conversation", "A burst was ordered before a build.")
            say(scenario.burst(order))

    def _started(self) -> Build:
        if self._build is None:
            raise WorkerFailure("broken-conversation", "A build was ordered before the engine was started.")
        return self._build

    def close(self) -> None:
        """Close the build, if there is one."""
        if self._build:
            self._build.close()


def _fit(build: Build, order: FitOrder) -> FitReport:
    """Running out of memory is an answer; all else ends the worker."""
    try:
        with memory_errors():
            return FitReport(fits=True, peak_bytes=build.fits(order))
    except MemoryError as error:
        shortage = shortage_of(error)
    build.release()  # after the handler: the exception's frames held the batch
    return FitReport(fits=False, shortage=shortage)


def _receipt(order: ReceiptOrder) -> ReadyReport | FailureReport:
    threads = thread_count(order.trial)
    try:
        engine = make_engine(order.trial, threads, RealClock(), Path(gettempdir()))
        return ReadyReport(receipt=engine.receipt(), process=process_facts(order.trial, threads))
    except DynoError as refusal:
        return failure_report(refusal)
