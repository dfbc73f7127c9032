"""What a report looks like, line by line, against stored gold files.

REGENERATE_GOLD=1 writes them anew; look at the difference before you commit it. A mismatch is saved
beside the gold file as *.actual.*.
"""

import json
import os
import re
from pathlib import Path

import pytest

from tensordyno.analysis.compare_devices import compare_devices
from tensordyno.analysis.scores import scores
from tensordyno.figures.base import FIGURES
from tensordyno.report.comparison import compared_document
from tensordyno.report.comparison_write import comparison_markdown
from tensordyno.report.markdown import markdown

GOLD = Path(__file__).parents[2] / "gold"
ROWS = 50  # of each chart's data
LONG_NUMBER = re.compile(r"-?\d+\.\d{4,}(?:[eE][-+]?\d+)?|-?\d+(?:\.\d+)?[eE][-+]?\d+")


def scrubbed(text):
    """Without versions, and with numbers as precise as every machine agrees on."""
    text = re.sub(r"vega-lite/v[\d.]+", "vega-lite/VERSION", text)
    return LONG_NUMBER.sub(lambda m: f"{float(m[0]):.4g}", text)


def check(name, text):
    gold, actual = GOLD / name, GOLD / f"{Path(name).stem}.actual{Path(name).suffix}"
    text = scrubbed(text)
    if os.environ.get("REGENERATE_GOLD"):
        gold.write_text(text)
    if not gold.exists() or gold.read_text() != text:
        actual.write_text(text)
        pytest.fail(f"{gold} differs from {actual}. If that is meant: REGENERATE_GOLD=1 pytest {__file__}")
    actual.unlink(missing_ok=True)


def test_markdown(written):
    check("report.md", (written / "report.md").read_text())


def test_markdown_with_int8(int8):
    check("report_int8.md", markdown(int8[2]))


def test_markdown_of_right_answers(untimed):
    check("report_accuracy.md", markdown(untimed[2]))


def test_markdown_of_gpus(gpu):
    check("report_gpu.md", markdown(gpu[2]))


def test_markdown_of_two_devices(device_runs):
    runs = device_runs[:2]
    found = compare_devices(runs, [scores(run) for run in runs])
    check("comparison.md", comparison_markdown(compared_document(found)))


def test_csv(written):
    check("trials.csv", (written / "trials.csv").read_text())


@pytest.mark.parametrize("name", FIGURES.names())
def test_chart(name, made, int8, study, gpu):
    """Drawn from the plain run, or from the first that has what the figure shows."""
    drawings = gpu[2].drawings | study[2].drawings | int8[2].drawings | made.drawings
    spec = drawings[name].spec
    rows = spec["datasets"]["rows"][:ROWS]
    text = json.dumps({**spec, "datasets": {}}, indent=1) + "\n" + "".join(json.dumps(r) + "\n" for r in rows)
    check(f"figure_{name.replace('-', '_')}.txt", text)


def test_a_mismatch_is_saved_beside(tmp_path, monkeypatch):
    monkeypatch.delenv("REGENERATE_GOLD", raising=False)
    monkeypatch.setitem(globals(), "GOLD", tmp_path)
    (tmp_path / "a.md").write_text("old")
    with pytest.raises(pytest.fail.Exception, match="differs"):
        check("a.md", "new")
    assert (tmp_path / "a.actual.md").read_text() == "new"
