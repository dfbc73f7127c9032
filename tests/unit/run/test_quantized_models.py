import pytest
from fake_worker import FakeWorker, trial
from msgspec.structs import replace

from tensordyno.errors import StoreError
from tensordyno.records.calibration import Calibration, CalibrationFacts
from tensordyno.records.messages import FailureReport, ProgressReport, QuantizedReport, QuantizeOrder
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import EngineChoice
from tensordyno.run import quantized_models as module
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Precision, Verdict

FACTS = CalibrationFacts(
    data="fashion",
    data_hash="h",
    images=500,
    batch_size=25,
    seed=0,
    method="entropy",
    asked_method="auto",
    int8_layers=3,
)
ANSWER = QuantizedReport(folder="/q", facts=FACTS, phase=Phase(name="quantize", start_s=0, stop_s=1))
STEPS = [ProgressReport(doing="calibrating", done=done, total=2) for done in (0, 1, 2)]


def int8(**fields):
    return replace(trial(), **({"precision": Precision.INT8, "calibration": Calibration()} | fields))


@pytest.fixture
def workers(monkeypatch, tmp_path):
    """Every worker that is started; `answers` is what each one says."""
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path / "cache"))
    started = []

    def start(log, python, threads, allocator):
        started.append(FakeWorker(*start.answers))
        started[-1].python = python
        return started[-1]

    start.started, start.answers = started, (*STEPS, ANSWER)
    monkeypatch.setattr(module, "Worker", start)
    return start


def test_the_order_names_everything_and_progress_reaches_the_caller(tmp_path, workers):
    heard = []
    models = QuantizedModels(tmp_path, 10, sensitivity=True, table="t.json")
    asked = int8(engine=EngineChoice(name="null", python="/other/python"))
    assert models.folder_for(asked, "/p", heard.append) == ("/q", FACTS)
    (worker,) = workers.started
    (order,) = worker.orders
    assert order == QuantizeOrder(
        trial=asked, folder="/p", cache=str(tmp_path / "cache"), sensitivity=True, table="t.json"
    )
    assert heard == STEPS and worker.ended == "killed"
    assert worker.python is None  # ours has the libraries; an engine's own need not


def test_another_engine_uses_the_answer_and_the_facts_say_so(tmp_path, workers):
    models = QuantizedModels(tmp_path, 10)
    models.folder_for(int8(), "/p", [].append)
    other = int8(id="u", engine=EngineChoice(name="openvino"), batch_size=8, device="cuda:0")
    assert models.folder_for(other, "/p", [].append) == ("/q", replace(FACTS, reused=True))
    assert len(workers.started) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": Calibration(method="mse")},
        {"calibration": Calibration(batches=10)},
        {"dataset": "fashion"},
        {"hold_out": True},
        {"preprocessing": PreprocessingChange(channels="bgr")},
        {"seed": 1},
        {"skip_unreadable": True},
        {"accuracy_images": 10},
    ],
)
def test_whatever_changes_the_table_is_ordered_anew(tmp_path, workers, change):
    models = QuantizedModels(tmp_path, 10)
    models.folder_for(int8(), "/p", [].append)
    models.folder_for(int8(**change), "/p", [].append)
    models.folder_for(int8(), "/another", [].append)
    assert len(workers.started) == 3


def test_a_failure_is_remembered(tmp_path, workers):
    refused = FailureReport(error="DataError", slug="calibration-overlaps", sentence="No.", remedy="Do.")
    workers.answers = (STEPS[0], refused)
    models = QuantizedModels(tmp_path, 10)
    for _ in range(2):
        with pytest.raises(TrialFailed) as failed:
            models.folder_for(int8(), "/p", [].append)
        assert failed.value.failure[:3] == (Verdict.INVALID, "No. Do.", "calibration-overlaps")
    assert len(workers.started) == 1


def test_a_worker_that_dies_is_the_trials_failure(tmp_path, workers):
    workers.answers = (WorkerDied("Dead.", 3, ""),)
    with pytest.raises(TrialFailed) as failed:
        QuantizedModels(tmp_path, 10).folder_for(int8(), "/p", [].append)
    assert failed.value.failure.verdict is Verdict.CRASHED
    assert workers.started[0].ended == "killed"


def test_a_cache_that_cannot_be_written_ends_more_than_one_trial(tmp_path, workers):
    workers.answers = (FailureReport(error="StoreError", slug="disk-full", sentence="Full.", remedy="Free."),)
    with pytest.raises(StoreError, match="Full"):
        QuantizedModels(tmp_path, 10).folder_for(int8(), "/p", [].append)


def test_an_answer_to_another_question(tmp_path, workers):
    from fake_worker import READY

    workers.answers = (READY,)
    with pytest.raises(TrialFailed, match="ReadyReport") as failed:
        QuantizedModels(tmp_path, 10).folder_for(int8(), "/p", [].append)
    assert failed.value.failure.slug == "broken-conversation"
