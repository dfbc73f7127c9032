"""The accuracy table."""

from msgspec.structs import replace

from tensordyno.analysis.accuracy import accuracy_rows
from tensordyno.report import accuracy_table as module
from tensordyno.report.accuracy_table import Measure, accuracy_table
from tensordyno.vocabulary import Verdict


def table_of(case):
    run, scores, _ = case
    return accuracy_table(accuracy_rows(run, scores), scores)


def test_networks_and_engines_down_fp32_and_int8_across(int8):
    table = table_of(int8)
    assert [row.asked for row in table.rows] == [
        ("lenet5_fashion", "onnxruntime", "int8"),
        ("lenet5_fashion", "openvino(hint=throughput)", "int8"),
        ("resnet8_fashion", "onnxruntime", "int8"),
        ("resnet8_fashion", "openvino", "int8"),
    ]
    row = dict(zip(table.found, table.rows[-1].found, strict=True))
    assert table.found.count("Difference, points") == 2
    assert table.rows[-1].found[2].line == "−0.15 (−0.50 to +0.20)"
    assert row["FP32 top-1"].line == "92.75 % (91.5–93.8)" and row["Its top-1"].text == "92.60 %"
    assert row["Agrees with FP32"].text == "99.45 %" and row["Images"].text == "2,000"
    assert row["Calibrated"].line == "entropy (1,250 images)"
    assert row["Layers in INT8"].line == "9 of 10 (1 kept)"
    assert row["Worst class"].line == "class 6: −1.14 (154 → 152 of 175)"


def test_what_sets_calibrations_apart_is_told(study):
    table = table_of(study)
    column = table.found.index("Calibrated")
    assert len({row.found[column] for row in table.rows}) == 96
    assert table.rows[0].found[column].line == "minmax (25 images, 5 at a time, seed 0)"


def test_a_precision_without_calibration_has_no_such_columns(int8):
    run, scores, _ = int8
    score_fields = {"calibration_images": None, "int8_layers": None, "fp32_kept": None}
    rows = [
        replace(row, precision="bf16", score=replace(row.score, **score_fields))
        for row in accuracy_rows(run, scores)
    ]
    table = accuracy_table(rows, scores)
    assert "Calibrated" not in table.found and "Layers in INT8" not in table.found
    assert {row.asked[2] for row in table.rows} == {"bf16"}


def test_a_row_without_fp32_has_dashes_and_no_zeros(int8):
    run, scores, _ = int8
    row, other = accuracy_rows(run, scores)[:2]
    lonely = replace(row, fp32=None, fp32_top1=None, fp32_top5=None, paired=None)
    found = accuracy_table([lonely, other], scores).rows[0].found
    assert found[0] == found[2] == found[6] == Measure("–")
    assert accuracy_table([lonely], scores) is None  # nothing is compared: the figure shows the share


def test_an_engine_that_cannot_count_its_layers_claims_none(int8):
    run, scores, _ = int8
    row = accuracy_rows(run, scores)[-1]
    blind = replace(row, score=replace(row.score, int8_layers=None, float_layers=None))
    table = accuracy_table([blind], scores)
    assert table.rows[0].found[table.found.index("Layers in INT8")] == Measure("1 kept")


def test_a_build_that_is_not_valid_says_so(int8):
    run, scores, _ = int8
    row = accuracy_rows(run, scores)[0]
    broken = replace(row, score=replace(row.score, verdict=Verdict.INVALID))
    assert accuracy_table([broken], scores).rows[0].asked[2] == "int8, invalid"


def test_a_long_table_is_cut_and_says_so(study, monkeypatch):
    monkeypatch.setattr(module, "ROW_LIMIT", 10)
    table = table_of(study)
    assert len(table.rows) == 10 and table.left_out == 86


def test_no_row_is_no_table(rows):
    assert accuracy_table([], rows) is None
