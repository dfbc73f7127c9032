"""CSV."""

import csv
import io

import pytest
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


def test_what_each_device_did_is_one_text(gpu):
    rows = {row["trial"]: row for row in flat_rows(gpu[1])}
    one, two = (rows[f"resnet50.torch-compile.fp16.b256.x{n}"] for n in (1, 2))
    assert one["images_per_s_per_device"] is None and one["speedup"] is None
    rates = [float(rate) for rate in two["images_per_s_per_device"].split("; ")]
    assert len(rates) == 2 and sum(rates) == pytest.approx(two["images_per_s"], rel=0.01)
    assert two["scaling_efficiency_ci95_low"] < two["scaling_efficiency"] < 1
