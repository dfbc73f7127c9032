import csv
from pathlib import Path

import pytest
from made_run import make_run

from tensordyno.report import write as write_module


@pytest.fixture
def written(monkeypatch, tmp_path):
    """The arguments that the report is made with; making it is tested elsewhere."""
    seen = []

    def write_report(run, output):
        seen.append((run, output))
        return tmp_path / "report" / "index.html"

    monkeypatch.setattr(write_module, "write_report", write_report)
    return seen


def test_where_the_report_goes(dyno, written, tmp_path):
    page = tmp_path / "report" / "index.html"
    assert dyno("report", "run").out == f"Report: {page}\n"
    assert dyno("report", "run", "-o", "there", "--quiet").out == f"{page}\n"
    assert [(str(run), output and str(output)) for run, output in written] == [
        ("run", None),
        ("run", "there"),
    ]


def test_gpu_readings_under_nvidia_smis_own_names(dyno, written, tmp_path):
    root = make_run(tmp_path / "run")
    recording = Path(__file__).parents[2] / "gold" / "nvml_h200.jsonl"
    (root / "readings" / "nvml.jsonl").write_bytes(recording.read_bytes())
    assert dyno("report", root, "--nvidia-smi-csv", "smi.csv").status == 0
    header, *rows = csv.reader((tmp_path / "smi.csv").read_text().splitlines(), skipinitialspace=True)
    assert header[0] == "timestamp" and "power.draw [W]" in header
    assert len(rows) > 40 and {row[header.index("name")] for row in rows} == {"NVIDIA H200"}
    assert float(rows[0][header.index("power.draw [W]")].split()[0]) == pytest.approx(120.385, abs=0.006)


def test_a_place_that_cannot_be_written(dyno, written, tmp_path):
    root = make_run(tmp_path / "run")
    ended = dyno("report", root, "--nvidia-smi-csv", root)
    assert ended.status == 4 and ended.err.count("\n") == 1
