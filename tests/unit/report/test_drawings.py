"""Figures as words, tables and files."""

import sys
import xml.etree.ElementTree as ET

import pytest

from tensordyno.errors import MissingPackage
from tensordyno.report import drawings
from tensordyno.report.drawings import TABLE_LIMIT, draw, export


def test_a_drawing_has_words_and_a_table(made):
    drawing = made.drawings["pareto"]
    assert drawing.text_alternative.startswith("Throughput against latency. On the front")
    assert drawing.headings[0] == "Network"
    assert len(drawing.table) == 39 and all(len(row) == len(drawing.headings) for row in drawing.table)
    assert {row[-1] for row in drawing.table} == {"yes", "no"}


def test_long_tables_are_cut_and_counted(run, rows, monkeypatch):
    monkeypatch.setattr(drawings, "TABLE_LIMIT", 10)
    (drawing,) = draw(run, rows, ["pareto"])
    assert len(drawing.table) == 10 and drawing.rows_left_out == 29
    assert TABLE_LIMIT > 10


def test_pictures_are_what_their_names_say(written):
    for path in (written / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    for path in (written / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_picture_bears_its_title_where_and_when(written):
    text = (written / "figures" / "engine-bars.svg").read_text()
    assert "Throughput relative to the baseline" in text
    assert "AMD EPYC 9V45, 2 logical CPUs, 24.0 GiB; 2026-11-21 10:00 UTC" in text
    assert "#009e73" in text


def test_nothing_to_draw_makes_no_file(made, tmp_path):
    from dataclasses import replace

    blank = replace(made.drawings["pareto"], spec=None)
    assert export([blank], tmp_path / "figures", "") == ()
    assert list((tmp_path / "figures").iterdir()) == []


def test_what_the_run_did_not_ask_for_is_not_drawn(run, rows):
    assert [d.name for d in draw(run, rows, ["int8-speedup", "pareto"])] == ["pareto"]


def test_a_missing_library_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingPackage) as caught:
        drawings.vl_convert()
    assert "vl-convert-python" in caught.value.sentence and "[report]" in caught.value.remedy
