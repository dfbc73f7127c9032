"""The report as Markdown."""

import re
from dataclasses import replace

from tensordyno.report.markdown import markdown


def test_sections_in_the_order_of_the_outline(made):
    text = markdown(made)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [s.heading for s in made.outline]
    assert "\n\n\n" not in text and text.endswith("\n")


def test_tables_have_as_many_cells_in_every_row(made, int8, untimed, study):
    block = []
    lines = [
        line for doc in (made, int8[2], untimed[2], study[2]) for line in [*markdown(doc).split("\n"), ""]
    ]
    for line in lines:
        if line.startswith("|"):
            block.append(len(re.findall(r"(?<!\\)\|", line)))
        elif block:
            assert len(set(block)) == 1 and len(block) > 2
            block = []


def test_pictures_that_exist_are_shown(made, written):
    pictures = re.findall(r"!\[[^\]]+\]\((.*?)\)", markdown(made))
    assert len(pictures) == 8
    assert all((written / picture).exists() for picture in pictures)


def test_bars_and_angles_stay_in_their_cell(made):
    row = replace(made.trials.rows[-1], reason="a | b <c>\nd")
    trials = replace(made.trials, rows=(row,))
    assert "a \\| b &lt;c> d" in markdown(replace(made, trials=trials))


def test_a_long_table_is_cut_and_says_so(made):
    trials = replace(made.trials, rows=made.trials.rows * 11)
    assert "The first 500 of 528 rows; all are in trials.csv." in markdown(replace(made, trials=trials))


def test_a_long_accuracy_table_says_what_is_left_out(int8):
    made = int8[2]
    cut = replace(made, accuracy=replace(made.accuracy, left_out=1234))
    assert "1,234 more rows are in trials.csv." in markdown(cut)
