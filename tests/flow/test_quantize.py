"""From a trained network to a Q/DQ file that engines answer alike, as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from flow_tools import run_dyno
from PIL import Image

from tensordyno.datasets.fashion import FILE
from tensordyno.store.reader import read_run

MODEL = "lenet5_fashion"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file, and what `dyno quantize --json` said of it."""
    folder = tmp_path_factory.mktemp("quantized")
    ended = run_dyno("quantize", MODEL, "--method", "mse", "-o", "lenet.int8.onnx", "--json", cwd=folder)
    assert ended.status == 0, ended.err
    return folder / "lenet.int8.onnx", ended.summary


def test_file_and_table_are_there(made):
    file, said = made
    table = json.loads(Path(f"{file}.calibration.json").read_text())
    assert said["calibration"]["int8_layers"] == 5 and said["calibration"]["images"] == 500
    assert table["method"] == said["calibration"]["method"] == "mse"


def test_a_second_time_no_image_is_run_and_the_file_is_the_same(made):
    file, _ = made
    ended = run_dyno("quantize", MODEL, "--method", "mse", "-o", "again.onnx", "--json", cwd=file.parent)
    assert ended.summary["calibration"]["reused"] is True and "calibrating" not in ended.err
    assert (file.parent / "again.onnx").read_bytes() == file.read_bytes()


def test_both_engines_answer_the_file_alike_and_as_accurately_as_the_network(made):
    """The file notes how images become inputs; a bare ONNX file would have them normalised otherwise."""
    file, _ = made
    options = ("--data", "fashion", "--no-report", "--json")
    ended = run_dyno("accuracy", file.name, "--precision", "int8", *options, "-o", "file", cwd=file.parent)
    assert ended.status == 0, ended.err
    ours = [trial["top1"] for trial in ended.summary["trials"]]
    network = run_dyno(
        "accuracy",
        MODEL,
        "--precision",
        "fp32",
        "--engine",
        "onnxruntime",
        *options,
        "-o",
        "net",
        cwd=file.parent,
    )
    (fp32,) = [trial["top1"] for trial in network.summary["trials"]]
    assert len(ours) == 2 and max(ours) - min(ours) <= 0.001 and min(ours) > fp32 - 0.003


def test_a_folder_is_divided_between_calibration_and_test(tmp_path):
    with np.load(FILE) as stored:
        for number in range(120):
            folder = tmp_path / "photos" / f"class{stored['y_test'][number]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(stored["x_test"][number]).save(folder / f"{number}.png")
    ended = run_dyno(
        *("accuracy", MODEL, "--data", "photos", "--engine", "onnxruntime", "--calibration", "3x5"),
        *("--no-report", "-o", "run"),
        cwd=tmp_path,
    )
    assert ended.status == 0, ended.err
    fp32, int8 = read_run(tmp_path / "run").outcomes
    assert fp32.accuracy.images == int8.accuracy.images == 96
    assert fp32.accuracy.data_hash == int8.accuracy.data_hash
    assert int8.calibration.images == 15 and "few-calibration-images" in ended.out
