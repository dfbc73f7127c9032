"""Parquet."""

import io
import sys

import pytest

from tensordyno.errors import MissingPackage
from tensordyno.report.csv_table import flat_rows
from tensordyno.report.parquet_table import column_types, parquet_table


def test_columns_and_types_do_not_depend_on_the_run(rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    one, two = (parquet.read_schema(io.BytesIO(parquet_table(flat_rows(r)))) for r in (rows, rows[-1:]))
    assert one == two and one.names == list(flat_rows(rows)[0])
    assert str(one.field("joules_per_image").type) == "double"
    assert str(one.field("batch_size").type) == "int64"
    assert str(one.field("verified").type) == "bool"


def test_column_types_follow_the_score():
    kinds = column_types()
    assert (
        kinds["verdict"] == "str" and kinds["top1_ci95_low"] == "float" and kinds["peak_rss_bytes"] == "int"
    )


def test_a_missing_library_says_what_to_type(monkeypatch, rows):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match="pyarrow"):
        parquet_table(flat_rows(rows))
