"""The page of a device comparison: words, tables, files."""

import json
import re

import pytest
from msgspec.structs import replace

from tensordyno.analysis.compare_devices import compare_devices
from tensordyno.analysis.scores import scores
from tensordyno.report.comparison import compared_document, headline
from tensordyno.report.comparison_write import comparison_markdown, write_comparison

DEVICES = ("NVIDIA T4", "NVIDIA H200", "NVIDIA A100-SXM4-80GB")


def compared(runs):
    return compare_devices(runs, [scores(run) for run in runs])


@pytest.fixture(scope="module")
def runs(device_runs):
    return device_runs


@pytest.fixture(scope="module")
def two(runs):
    return compared(runs[:2])


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    return write_comparison(compared(runs), tmp_path_factory.mktemp("page") / "new" / "folder").parent


def chapter(made, anchor):
    return next(c for c in made.outline if c.anchor == anchor)


def test_the_headline_says_how_many_times(two, runs):
    assert headline(two).startswith(
        "NVIDIA H200 does 12.5 times the images per second of NVIDIA T4 in fp32 and "
    )
    both = headline(compared(runs))
    assert "; NVIDIA A100-SXM4-80GB does 5.2" in both and both.count("geometric means") == 1


def test_a_table_for_each_device_besides_the_first(runs):
    made = compared_document(compared(runs))
    tables = chapter(made, "configurations").tables
    assert [t.caption for t in tables] == [
        "NVIDIA H200 against NVIDIA T4",
        "NVIDIA A100-SXM4-80GB against NVIDIA T4",
    ]
    assert all(len(row) == len(table.headings) for table in tables for row in table.rows)
    assert made.title == "NVIDIA H200 and NVIDIA A100-SXM4-80GB against NVIDIA T4"


def test_columns_without_a_single_value_are_left_out(two):
    bare = tuple(
        replace(c, standings=(c.standings[0], replace(c.standings[1], frugality_ratio=None)))
        for c in two.contests
    )
    (table,) = chapter(compared_document(replace(two, contests=bare)), "configurations").tables
    assert table.headings[-1] == "p50, times"


def test_how_a_trial_ended_stands_in_the_place_of_its_throughput(two):
    (table,) = chapter(compared_document(two), "configurations").tables
    (row,) = [row for row in table.rows if row[3] == "4096"]
    assert row[4:6] == ("out of memory", "out of memory") and set(row[6:]) == {"–"}


def test_the_environment_has_what_matters_apart(two):
    weighty, rest = chapter(compared_document(two), "environment").tables
    assert [row[0] for row in weighty.rows] == ["GPU name", "gpus", "GPU Driver", "GPU Power limit"]
    assert "hostname" in {row[0] for row in rest.rows}


def test_trials_of_one_run_alone_are_listed(two):
    alone = replace(two, alone=(("a", "b"), tuple(f"t{i}" for i in range(50))))
    first, second = chapter(compared_document(alone), "alone").listed
    assert first == "NVIDIA T4: a, b." and second.endswith("t39 and 10 more.")
    assert "alone" not in {c.anchor for c in compared_document(two).outline}


def test_runs_with_nothing_in_common_still_have_a_page(two):
    nothing = replace(two, contests=(), means=(), environment=())
    made = compared_document(nothing)
    assert made.headline.startswith("The runs share no configuration: ")
    assert [c.anchor for c in made.outline] == ["environment"]
    assert "Nothing to draw" not in comparison_markdown(made)


def test_nothing_valid_on_two_devices_is_said(two):
    nothing = replace(two, means=())
    assert compared_document(nothing).headline.startswith("No configuration is VALID on two of the devices")


def test_files(written):
    names = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert names == {
        *("index.html", "comparison.md", "comparison.json"),
        *(f"figures/compared-{what}.{kind}" for what in ("ratios", "batches") for kind in ("svg", "png")),
    }
    found = json.loads((written / "comparison.json").read_text())
    assert [side["label"] for side in found["sides"]] == [*DEVICES]


def test_the_page_is_whole_and_asks_the_network_for_nothing(written):
    page = (written / "index.html").read_text()
    words = re.sub(r"<(script|style)[ >].*?</\1>", "", page, flags=re.DOTALL)
    ids = re.findall(r' id="([^"]+)"', words)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]+)"', words))
    assert targets <= set(ids) and {"answer", "configurations", "environment"} <= targets
    assert "://" not in words and " src=" not in words
    drawn = set(re.findall(r'data-spec="([^"]+)"', words))
    assert drawn == {"spec-compared-ratios", "spec-compared-batches"}
    assert all(f'<script type="application/json" id="{name}">' in page for name in drawn)


def test_names_are_no_markup(two, tmp_path):
    odd = tuple(replace(side, label="<b>GPU</b> | x") for side in two.sides)
    made = compared_document(replace(two, sides=(two.sides[0], odd[1])))
    page = write_comparison(replace(two, sides=(two.sides[0], odd[1])), tmp_path).read_text()
    assert "<b>GPU</b>" not in page.partition("<script type")[0]
    assert "| &lt;b>GPU&lt;/b> \\| x |" in comparison_markdown(made)
