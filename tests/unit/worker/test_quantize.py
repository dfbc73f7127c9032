"""An order to calibrate, from its first report to its answer, within this process."""

import io
from pathlib import Path

import msgspec
import pytest
from digits_network import prepared_digits
from msgspec.structs import replace

from tensordyno.quantize.table_file import FILE_NAME, read_table
from tensordyno.records.calibration import Calibration, facts_of
from tensordyno.records.messages import FailureReport, ProgressReport, QuantizedReport, QuantizeOrder
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.records.wire import encode_message
from tensordyno.vocabulary import Precision
from tensordyno.worker.conversation import Conversation
from tensordyno.worker.serve import serve


class Recorded(Conversation):
    """A conversation whose reports stay here."""

    def __init__(self, *orders):
        super().__init__(io.BytesIO(b"".join(map(encode_message, orders))), -1)
        self.reports = []

    def report(self, report):
        self.reports.append(report)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    made = prepared_digits(tmp_path_factory.mktemp("model"))
    (made.folder / "facts.json").write_bytes(msgspec.json.encode(made.facts))
    return made


@pytest.fixture
def order(prepared, tmp_path):
    trial = Trial(
        id="t",
        model="digits",
        engine=EngineChoice(name="onnxruntime"),
        precision=Precision.INT8,
        batch_size=1,
        dataset=str(prepared.folder / "digits.npz"),
        calibration=Calibration(method="mse"),
    )
    return QuantizeOrder(trial=trial, folder=str(prepared.folder), cache=str(tmp_path))


def test_progress_and_then_the_answer(order):
    talk = Recorded(replace(order, sensitivity=True))
    assert serve(talk) == 0
    *steps, answer = talk.reports
    assert {type(step) for step in steps} == {ProgressReport}
    assert [step.doing for step in steps if step.done == step.total] == ["calibrating", "ranking layers"]
    assert isinstance(answer, QuantizedReport) and answer.phase.stop_s > answer.phase.start_s
    table = read_table(Path(answer.folder) / FILE_NAME)
    assert answer.facts == facts_of(table, reused=False) and len(answer.facts.sensitivity) == 4


def test_two_orders_to_one_worker(order):
    talk = Recorded(order, replace(order, trial=replace(order.trial, device="cuda:0")))
    assert serve(talk) == 0
    first, second = (report for report in talk.reports if isinstance(report, QuantizedReport))
    assert first.folder == second.folder and (first.facts.reused, second.facts.reused) == (False, True)
    assert talk.reports[-1] is second and talk.reports[-2] is first  # no step in between


def test_a_table_of_ones_own(order, tmp_path):
    talk = Recorded(order)
    serve(talk)
    table = Path(talk.reports[-1].folder) / FILE_NAME
    talk = Recorded(replace(order, table=str(table), trial=replace(order.trial, dataset="/no/such/data")))
    assert serve(talk) == 0
    (answer,) = talk.reports
    assert answer.facts.reused and answer.facts.images == 300


def test_a_refusal_is_the_workers_end(order, capsys):
    missing = replace(order.trial, calibration=Calibration(data="/no/such.npz"))
    talk = Recorded(replace(order, trial=missing), order)
    assert serve(talk) == 1
    (failed,) = talk.reports
    assert isinstance(failed, FailureReport) and failed.slug == "missing-data"
