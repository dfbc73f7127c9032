import json
from pathlib import Path

import pytest
from made_calibration import FACTS, made_calibration

from tensordyno.cli import calibrating
from tensordyno.cli.flags import CALIBRATION
from tensordyno.cli.quantize import _FLAGS, MEMBER
from tensordyno.errors import DataError
from tensordyno.records.calibration import Calibration
from tensordyno.records.messages import ProgressReport
from tensordyno.records.model import PreprocessingChange
from tensordyno.vocabulary import Precision


@pytest.fixture
def quantize(dyno, monkeypatch, tmp_path):
    """`dyno quantize` with a calibration that was made before; `seen` is what was asked."""
    found = made_calibration(tmp_path / "made")

    def calibrate(trial, hear, **options):
        quantize.seen = {"trial": trial, **options}
        hear(ProgressReport(doing="calibrating", done=5, total=10))
        return found

    monkeypatch.setattr(calibrating, "calibrate", calibrate)

    def quantize(text):
        return dyno("quantize", *text.split())

    quantize.seen = {}
    return quantize


def test_the_file_and_its_table_lie_where_they_were_wanted(quantize):
    ended = quantize("lenet5_fashion -o there.int8.onnx")
    assert ended.status == 0, ended.err
    assert Path("there.int8.onnx").read_bytes() == b"uint8 form"
    assert json.loads(Path("there.int8.onnx.calibration.json").read_text())["method"] == "mse"
    assert "there.int8.onnx" in ended.out and "dyno accuracy lenet5_fashion" in ended.out
    assert quantize.seen["trial"].calibration == Calibration()


def test_without_a_name_the_file_is_called_like_the_model(quantize):
    assert quantize("lenet5_fashion --form int8").status == 0
    assert Path("lenet5_fashion.int8.onnx").read_bytes() == b"int8 form"


def test_every_flag_reaches_the_trial(quantize, tmp_path):
    (tmp_path / "w.pt").touch()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "a.png").touch()
    ended = quantize(
        "lenet5_fashion --data fashion --weights w.pt --threads 2 --seed 3 --skip-unreadable "
        "--preprocess mean=0.5 --calibration 10x5 --method mse --calibration-data others "
        "--calibration-seed 7 --keep-fp32 auto --max-drop 0.01 --fp32-first --fp32-last --sensitivity"
    )
    assert ended.status == 0, ended.err
    trial = quantize.seen["trial"]
    assert trial.calibration == Calibration(
        data="others",
        batches=10,
        batch_size=5,
        method="mse",
        seed=7,
        keep_fp32="auto",
        max_drop=0.01,
        first_layer=False,
        last_layer=False,
    )
    assert (trial.id, trial.precision, trial.dataset) == ("lenet5_fashion", Precision.INT8, "fashion")
    assert (trial.weights, trial.threads, trial.seed, trial.skip_unreadable) == ("w.pt", 2, 3, True)
    assert trial.preprocessing == PreprocessingChange(mean=(0.5,)) and not trial.hold_out
    assert quantize.seen["sensitivity"] is True and quantize.seen["table"] == ""


def test_no_flag_is_forgotten():
    options = {p.name for p in MEMBER.params if p.name != "model"}
    assert options == {
        *(*_FLAGS, *CALIBRATION),
        *("sensitivity", "table", "form", "output", "force", "as_json"),
    }


def test_a_table_is_handed_on(quantize, tmp_path):
    (tmp_path / "t.json").write_text("{}")
    assert quantize("lenet5_fashion --table t.json").status == 0
    assert quantize.seen["table"] == "t.json"


def test_json_is_alone_on_stdout(quantize):
    ended = quantize("lenet5_fashion --json")
    said = json.loads(ended.out)
    assert (said["schema"], said["model"], said["form"]) == (1, "lenet5_fashion", "uint8")
    assert said["onnx"] == "lenet5_fashion.int8.onnx"
    assert said["table"] == "lenet5_fashion.int8.onnx.calibration.json"
    assert said["calibration"]["method"] == FACTS.method
    assert ended.err == "lenet5_fashion  calibrating 5/10\n"


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        ("lenet5_fashion -o model.int8", "bad-output"),
        ("lenet5_fashion -o nowhere/model.onnx", "bad-output"),
        ("lenet5_fashion -o folder.onnx", "bad-output"),
        ("lenet5_fashion -o there.onnx", "output-exists"),
        ("lenet5_fashion -o other.onnx", "output-exists"),  # its table is there
        ("lenet5_fashion --table missing.json", "missing-table"),
        ("lenet5_fashion --table there.onnx --method mse", "table-decides"),
        ("lenet5_fashion --table there.onnx --fp32-last", "table-decides"),
        ("lenet5_fashion --table there.onnx --sensitivity", "table-decides"),
        ("lenet5_fashion --method mse,entropy", "one-calibration"),
        ("lenet5_fashion --calibration 10x5,20x5", "one-calibration"),
        ("lenet5_fashion --calibration-data nowhere", "unknown-dataset"),
        ("lenet5_fashion --calibration-data ./empty", "empty-data"),
        ("lenet5_fashion --method x", "unknown-calibration-method"),
        ("lenet5_fashion --calibration 0x5", "bad-calibration"),
        ("lenet5 --data fashion", "unknown-model"),
        ("missing.onnx", "missing-model"),
        ("lenet5_fashion --form fp8", "bad-usage"),
        ("", "bad-usage"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_time_is_spent(quantize, tmp_path, arguments, slug):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("there.onnx", "other.onnx.calibration.json"):
        (tmp_path / name).touch()
    ended = quantize(arguments)
    assert ended.status == 2 and ended.out == "" and quantize.seen == {}
    assert ended.err.startswith("dyno: ") and ended.err.endswith(f"[{slug}]\n") and ended.err.count("\n") == 1
    assert (tmp_path / "there.onnx").read_bytes() == b""


def test_force_overwrites(quantize, tmp_path):
    (tmp_path / "there.onnx").touch()
    ended = quantize("lenet5_fashion -o there.onnx --force")
    assert ended.status == 0 and (tmp_path / "there.onnx").read_bytes() == b"uint8 form"


def test_what_the_worker_refuses_is_one_line_and_leaves_nothing(dyno, monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise DataError("already-quantized", "It is quantized already.", "Give another.")

    monkeypatch.setattr(calibrating, "calibrate", refuse)
    ended = dyno("quantize", "lenet5_fashion")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "dyno: It is quantized already. Give another. [already-quantized]\n"
    assert list(tmp_path.iterdir()) == []
