"""All files of a report, from a stored run alone."""

import csv
import gc
import json
import os

import pytest

from tensordyno.errors import StoreError
from tensordyno.report.write import write_report


def test_every_file_is_written(written, made):
    drawn = sorted(d.name for d in made.drawings.values() if d.spec)
    assert sorted(p.name for p in written.iterdir()) == [
        "figures", "index.html", "report.md", "trials.csv", "trials.parquet",
    ]  # fmt: skip
    assert sorted(p.name for p in (written / "figures").iterdir()) == sorted(
        f"{name}.{kind}" for name in drawn for kind in ("png", "svg")
    )
    assert len(drawn) == 8


def test_csv_and_parquet_hold_the_same_rows(written, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(written / "trials.parquet").to_pylist()
    with (written / "trials.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(table) == len(lines) == len(rows)
    for typed, line in zip(table, lines, strict=True):
        assert {k: "" if v is None else str(v) for k, v in typed.items()} == line


def test_a_missing_summary_is_made_up_for(root, written, rows):
    summary = json.loads((root / "summary.json").read_text())
    assert summary["schema"] == 1 and len(summary["trials"]) == len(rows)


def test_facts_are_left_alone(root, tmp_path):
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and "report" not in p.parts}
    page = write_report(root, tmp_path / "elsewhere")
    assert page == tmp_path / "elsewhere" / "index.html" and page.exists()
    assert {p: p.read_bytes() for p in before} == before


def test_the_collector_is_left_as_it_was(root, tmp_path):
    assert gc.isenabled()
    with pytest.raises(StoreError):
        write_report(tmp_path)
    assert gc.isenabled()


def test_no_run_is_one_line(tmp_path):
    with pytest.raises(StoreError) as caught:
        write_report(tmp_path)
    assert caught.value.slug == "no-run"


def test_a_place_that_cannot_be_written_is_one_line(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        write_report(root, tmp_path / "file" / "report")
    assert caught.value.slug in ("cannot-write", "no-permission")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_line(root, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError) as caught:
        write_report(root, tmp_path / "report")
    assert caught.value.slug == "no-permission"
