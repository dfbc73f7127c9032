import json
import subprocess

import pytest
from made_run import make_run

from tensordyno.analysis.scores import scores
from tensordyno.cli import execute
from tensordyno.errors import Interrupted, NothingValid, StoreError
from tensordyno.spec.yaml_file import spec_from_text
from tensordyno.store.reader import read_run

SPEC = spec_from_text("models: [lenet5_fashion]\nengines: ['null']\n", "test", name="words")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """`start` and `resume` find a run that is already there."""
    root = make_run(tmp_path / "my run")
    monkeypatch.setattr(execute, "start_run", lambda loaded, root, command, progress: None)
    monkeypatch.setattr(execute, "resume_run", lambda root, progress: None)
    return root


def test_a_run_ends_with_table_and_summary(made, capsys):
    assert execute.start(SPEC, made, as_json=False, report=False) == 0
    out = capsys.readouterr().out
    assert "resnet50" in out and str(made) in out.replace("\n", "")
    whole = json.loads((made / "summary.json").read_text())
    assert len(whole["trials"]) == len(scores(read_run(made)))


def test_json_is_alone_on_stdout(made, capsys):
    assert execute.resume(made, as_json=True, report=False) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((made / "summary.json").read_text())


def test_the_report_is_made_by_a_process_of_its_own(made, capsys, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="there/index.html\n", stderr="")

    monkeypatch.setattr(execute.subprocess, "run", run)
    assert execute.start(SPEC, made, as_json=False, report=True) == 0
    assert asked[0][-3:] == ["report", str(made), "--quiet"]
    assert "Report: there/index.html" in capsys.readouterr().out


def test_a_report_that_fails_costs_no_more_than_its_line(made, capsys, monkeypatch):
    failed = subprocess.CompletedProcess([], 3, stdout="", stderr="dyno: No altair. [missing-package]\n")
    monkeypatch.setattr(execute.subprocess, "run", lambda *a, **k: failed)
    assert execute.start(SPEC, made, as_json=False, report=True) == 0
    out, err = capsys.readouterr()
    assert err == "dyno: No altair. [missing-package]\n" and "Report" not in out


@pytest.mark.parametrize("verb", ["start", "resume"])
def test_a_stop_says_how_to_go_on(made, monkeypatch, verb):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, f"{verb}_run", stop)
    with pytest.raises(Interrupted) as stopped:
        if verb == "start":
            execute.start(SPEC, made, as_json=False, report=False)
        else:
            execute.resume(made, as_json=False, report=False)
    assert stopped.value.exit_code == 130
    assert stopped.value.remedy == f"Type: dyno run --resume '{made}'"


def test_a_summary_that_finds_no_room(made, monkeypatch):
    (made / "summary.json").mkdir()
    with pytest.raises(StoreError):
        execute.start(SPEC, made, as_json=False, report=False)
    assert not (made / "summary.json.part").exists()


def rows(*ends):
    """Scores that ended so: (verdict, slug, reason)."""
    from tensordyno.analysis.scores import Score

    fixed = {"trial": "t", "task": "inference", "model": "m", "engine": "e", "engine_name": "e"}
    fixed |= {"precision": "fp32", "batch_size": 1, "devices": 1, "nodes": 1, "boundary": "host"}
    fixed |= {"device": "cpu", "dataset": "synthetic"}
    return tuple(
        Score(**fixed, verdict=execute.Verdict(verdict), slug=slug, reason=reason)
        for verdict, slug, reason in ends
    )


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        (
            [("invalid", "bad-file", "it is bad."), ("skipped", "", "no GPU")],
            "No trial is VALID. It is bad. [bad-file]",
        ),
        ([("skipped", "", "no GPU")] * 2, "No trial is VALID. No GPU [nothing-valid]"),
        (
            [("invalid", "bad-file", "It is bad."), ("crashed", "worker-died", "Dead.")],
            "No trial is VALID; the table names the reason of each. [nothing-valid]",
        ),
    ],
)
def test_why_nothing_is_valid(ends, line):
    error = execute._nothing_valid(rows(*ends))
    assert isinstance(error, NothingValid) and error.line() == line
