"""A shipped network from its name to Q/DQ files, through the two worker processes that make them."""

from pathlib import Path

import pytest

from tensordyno.quantize.base import Form
from tensordyno.quantize.table_file import FILE_NAME, read_table
from tensordyno.records.calibration import Calibration, facts_of
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.quantized_models import QuantizedModels
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Precision, Verdict


def trial(**calibration):
    return Trial(
        id="t",
        model="lenet5_fashion",
        engine=EngineChoice(name="onnxruntime"),
        precision=Precision.INT8,
        batch_size=8,
        dataset="fashion",
        calibration=Calibration(**calibration),
    )


@pytest.fixture
def prepared(tmp_path):
    return PreparedModels(tmp_path, 300).folder_for(trial())  # kept from run to run


def test_a_worker_calibrates_and_a_later_session_finds_it(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path / "cache"))
    heard = []
    folder, facts = QuantizedModels(tmp_path, 300).folder_for(trial(method="auto"), prepared, heard.append)
    assert facts == facts_of(read_table(Path(folder) / FILE_NAME), reused=False)
    assert (facts.images, facts.int8_layers, len(facts.tried)) == (500, 5, 5)
    assert all((Path(folder) / f"model.{form}.onnx").is_file() for form in Form)
    last = {step.doing: step for step in heard}
    assert {(step.done, step.total) for step in last.values()} == {(500, 500), (5, 5)}
    heard.clear()
    again, found = QuantizedModels(tmp_path, 300).folder_for(trial(method="auto"), prepared, heard.append)
    assert again == folder and found.reused and heard == []


def test_a_reason_reaches_the_trial(prepared, tmp_path):
    with pytest.raises(TrialFailed) as failed:
        QuantizedModels(tmp_path, 300).folder_for(trial(data="/no/such.npz"), prepared, [].append)
    failure = failed.value.failure
    assert (failure.verdict, failure.slug) == (Verdict.INVALID, "missing-data")
