"""CSV."""

import csv
import io

from msgspec.structs import replace

from tensordyno.report.csv_table import csv_table, flat_rows


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_intervals_become_three_columns(rows):
    row = next(r for r in flat_rows(rows) if r["trial"] == "resnet50.torch.fp32.b1")
    assert row["images_per_s_ci95_low"] < row["images_per_s"] < row["images_per_s_ci95_high"]
    assert row["top1"] is row["top1_ci95_low"] is row["top1_ci95_high"] is None


def test_every_row_has_the_same_columns(rows):
    assert len({tuple(r) for r in flat_rows(rows)}) == 1


def test_awkward_text_survives(rows):
    awkward = 'a "quoted", comma\nand line'
    back = read(csv_table(flat_rows([replace(rows[0], reason=awkward)])))
    assert back[0]["reason"] == awkward
    assert back[0]["verdict"] == "valid" and back[0]["joules_per_image"] == ""


def test_no_trial_is_still_a_table():
    assert csv_table([]).startswith("trial,task,model,")
