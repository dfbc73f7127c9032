import shlex
from pathlib import Path

import pytest
from fake_worker import trial
from made_calibration import FACTS, LAYERS, made_calibration
from msgspec.structs import replace

from tensordyno.cli.calibration_page import Files, keep, print_page
from tensordyno.errors import StoreError
from tensordyno.quantize.base import Form
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.spec.preprocessing_text import parse_preprocessing
from tensordyno.vocabulary import WeightsKind

ASKED = replace(trial(), id="lenet", model="lenet5_fashion", dataset="fashion", calibration=Calibration())


@pytest.fixture
def page(tmp_path, capsys):
    """What is printed, line by line, for a calibration of these facts and this trial."""

    def shown(asked=ASKED, facts=FACTS, form="uint8", from_table=False, **model):
        found = made_calibration(tmp_path / f"made{len(list(tmp_path.iterdir()))}", facts, **model)
        files = keep(found, form, tmp_path / "out.onnx")
        print_page(asked, found, files, from_table=from_table)
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return shown


def test_the_first_line_says_what_was_done(page):
    assert page()[0] == (
        "lenet: 2 of 3 layers with weights in INT8; ranges by mse (best of auto) from 400 images of fashion, "
        "took 1.50 s."
    )
    again = page(facts=replace(FACTS, reused=True, asked_method="mse"))[0]
    assert again.endswith("ranges by mse from 400 images of fashion, found in the cache.")


def test_layers_methods_and_warnings_are_named(page):
    lines = page()
    assert "stays in FP32: conv2 (Conv): the most sensitive" in lines
    assert "Methods on 100 held-back images" in lines
    assert "mse 99.00 % 1.00 points 30.0 dB chosen" in lines
    assert "minmax 50.00 %" in lines
    ranking = lines.index("conv2 Conv 12.5 dB stays in FP32")
    assert lines[ranking + 1 : ranking + 3] == ["conv1 Conv 31.2 dB", "fc Gemm 40.0 dB"]
    assert "Only 80 images. [few-calibration-images]" in lines


def test_a_plain_calibration_shows_no_empty_tables(page):
    lines = page(facts=replace(FACTS, tried=(), sensitivity=(), fp32_layers=(), warnings=()))
    assert lines[0].startswith("lenet: 2 of 2 layers") and lines[1].startswith("Q/DQ:")


def test_a_long_ranking_is_cut(page):
    many = tuple(replace(LAYERS[0], name=f"layer{n}") for n in range(25))
    lines = page(facts=replace(FACTS, sensitivity=many))
    assert "... and 15 more in the table" in lines
    assert sum(line.startswith("layer") and "dB" in line for line in lines) == 10


def test_the_files_are_named_with_their_sizes(page, tmp_path):
    text = " ".join(page())
    assert f"{tmp_path / 'out.onnx'} (uint8 activations, 10.0 B; FP32 has 2.00 KiB)" in text
    assert str(tmp_path / "out.onnx.calibration.json") in text


def next_of(lines):
    start = next(i for i, line in enumerate(lines) if line.startswith("Next: "))
    return [line.removeprefix("Next: ") for line in lines[start:]]


def test_the_next_commands_prove_it(page, tmp_path):
    accuracy, infer = next_of(page())
    assert accuracy == "dyno accuracy lenet5_fashion --data fashion --calibration 50x25 --method entropy"
    assert infer == (
        f"dyno infer {tmp_path / 'out.onnx'} --engine onnxruntime,openvino --precision int8 --batch 1,8,32"
    )


@pytest.mark.parametrize("changes", [{"weights": WeightsKind.RANDOM}, {"quantized": True}])
def test_what_has_no_accuracy_is_only_timed(page, changes):
    assert [line.split()[1] for line in next_of(page(**changes))] == ["infer"]


def test_ranges_of_a_table_are_not_found_again_by_accuracy(page):
    assert [line.split()[1] for line in next_of(page(from_table=True))] == ["infer"]


def test_the_form_for_tensorrt_is_not_offered_to_onnx_runtime(page):
    assert "--engine openvino " in next_of(page(form="int8"))[-1]


def test_the_accuracy_command_repeats_what_was_asked(page):
    change = PreprocessingChange(resize=64, mean=(0.5, 0.4, 0.3))
    calibration = Calibration(
        data="my photos", batches=3, batch_size=7, method="percentile:99.9", seed=5, keep_fp32="auto",
        max_drop=0.01, first_layer=False, last_layer=False,
    )  # fmt: skip
    asked = replace(ASKED, dataset="d", weights="w.pt", preprocessing=change, calibration=calibration)
    words = shlex.split(next_of(page(asked))[0])
    text = words[words.index("--preprocess") + 1]
    assert parse_preprocessing(text) == {"resize": 64, "mean": [0.5, 0.4, 0.3]}
    words.remove("--preprocess")
    words.remove(text)
    expected = (
        "dyno accuracy lenet5_fashion --data d --weights w.pt --calibration-data 'my photos' "
        "--calibration 3x7 --method percentile:99.9 --calibration-seed 5 --keep-fp32 auto --max-drop 0.01 "
        "--fp32-first --fp32-last"
    )
    assert words == shlex.split(expected)


def test_synthetic_images_prove_no_accuracy(page):
    assert "--data LABELLED_IMAGES" in next_of(page(replace(ASKED, dataset="synthetic")))[0]


def test_files_are_whole_or_not_there(tmp_path):
    found = made_calibration(tmp_path / "made")
    assert keep(found, "int8", tmp_path / "a.onnx") == Files(
        tmp_path / "a.onnx", tmp_path / "a.onnx.calibration.json", Form.INT8
    )
    with pytest.raises(StoreError):
        keep(found, "int8", tmp_path / "gone" / "a.onnx")
    (found.folder / "table.json").unlink()
    with pytest.raises(StoreError):
        keep(found, "int8", tmp_path / "b.onnx")
    assert not list(Path(tmp_path).glob("*.part"))
