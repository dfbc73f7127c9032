"""A worker from its first order to its last, within this process."""

import io

import pytest
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.records.messages import (
    BuildOrder,
    BurstOrder,
    FailureReport,
    FinishOrder,
    ReadyReport,
    ReceiptOrder,
    ReleaseOrder,
    StartOrder,
)
from tensordyno.records.trial import EngineChoice
from tensordyno.records.wire import encode_message
from tensordyno.worker.conversation import Conversation
from tensordyno.worker.serve import serve


class Recorded(Conversation):
    """A conversation whose reports stay here."""

    def __init__(self, *orders):
        super().__init__(io.BytesIO(b"".join(map(encode_message, orders))), -1)
        self.reports = []

    def report(self, report):
        self.reports.append(report)


def null(**options):
    return replace(trial(), engine=EngineChoice(name="null", options=options))


def test_a_receipt_and_the_end(capsys):
    talk = Recorded(ReceiptOrder(trial=null()), FinishOrder(), ReceiptOrder(trial=null()))
    assert serve(talk) == 0
    (ready,) = talk.reports
    assert isinstance(ready, ReadyReport) and ready.receipt.engine == "null"


def test_a_refusal_to_give_a_receipt_does_not_end_the_worker():
    refusing = null(fail="unsupported", fail_at="receipt")
    talk = Recorded(ReceiptOrder(trial=refusing), ReceiptOrder(trial=null()))
    assert serve(talk) == 0
    assert [type(report) for report in talk.reports] == [FailureReport, ReadyReport]


def test_the_first_failure_ends_the_worker_and_its_traceback_is_in_the_log(capsys, tmp_path):
    talk = Recorded(
        StartOrder(trial=null(fail="crash", fail_at="receipt"), folder=str(tmp_path)),
        ReceiptOrder(trial=null()),
    )
    assert serve(talk) == 1
    (failed,) = talk.reports
    assert isinstance(failed, FailureReport) and failed.error == "RuntimeError"
    assert "Traceback" in capsys.readouterr().err


def test_a_log_on_a_full_disk_does_not_silence_the_worker(monkeypatch, tmp_path):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    talk = Recorded(StartOrder(trial=null(fail="crash", fail_at="receipt"), folder=str(tmp_path)))
    assert serve(talk) == 1
    assert [type(report) for report in talk.reports] == [FailureReport]


@pytest.mark.parametrize(
    "order",
    [BurstOrder(), BurstOrder(rehearsal=True), ReleaseOrder(), BuildOrder(trial=null(), folder="none")],
)
def test_a_burst_before_a_build_is_refused(order, capsys):
    talk = Recorded(order)
    assert serve(talk) == 1
    (failed,) = talk.reports
    assert failed.slug == "broken-conversation"
