import io
import os
import threading

import pytest

from tensordyno.engines.out_of_memory import OutOfMemory
from tensordyno.errors import DataError
from tensordyno.records.memory import Shortage
from tensordyno.records.messages import BurstOrder, FinishOrder
from tensordyno.records.wire import decode_report, encode_message
from tensordyno.worker.conversation import Conversation, failure_report


def test_orders_arrive_one_by_one_and_end_with_the_pipe():
    lines = encode_message(BurstOrder(spin_rate=5.0)) + b"\n" + encode_message(FinishOrder())
    orders = list(Conversation(io.BytesIO(lines), 1).orders())
    assert orders == [BurstOrder(spin_rate=5.0), FinishOrder()]


def test_a_report_larger_than_the_pipe_is_sent_whole():
    read_end, write_end = os.pipe()
    error = DataError("s", "long " * 100_000)

    def speak():
        Conversation(io.BytesIO(), write_end).report_failure(error)
        os.close(write_end)

    speaker = threading.Thread(target=speak)
    speaker.start()
    with open(read_end, "rb") as pipe:
        content = pipe.read()
    speaker.join()
    assert content.count(b"\n") == 1 and decode_report(content).sentence == error.sentence


@pytest.mark.parametrize(
    ("error", "kind", "slug", "sentence"),
    [
        (DataError("bad-file", "It is bad.", "Fix it."), "DataError", "bad-file", "It is bad."),
        (MemoryError(), "MemoryError", "out-of-memory", "out of memory: the engine could not allocate"),
        (MemoryError("8 GiB"), "MemoryError", "out-of-memory", "out of memory: 8 GiB"),
        (ValueError("two\n  lines"), "ValueError", "engine-error", "ValueError: two lines"),
    ],
)
def test_an_exception_as_a_report(error, kind, slug, sentence):
    report = failure_report(error)
    assert (report.error, report.slug, report.sentence) == (kind, slug, sentence)
    assert report.remedy == getattr(error, "remedy", "") and kind in report.detail


def test_a_library_that_tells_a_novel_is_cut_short():
    sentence = failure_report(RuntimeError("x" * 10_000)).sentence
    assert len(sentence) < 350 and sentence.endswith("…")


def test_figures_of_the_memory_that_ran_out_travel_along():
    shortage = Shortage(asked_bytes=7, free_bytes=5, total_bytes=6)
    assert failure_report(OutOfMemory("full", shortage)).shortage == shortage
    assert failure_report(MemoryError("Unable to allocate 3 bytes")).shortage == Shortage(asked_bytes=3)
    assert failure_report(MemoryError()).shortage is None
