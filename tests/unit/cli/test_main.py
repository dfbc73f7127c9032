import os
import subprocess
import sys

import click
import pytest

from tensordyno import __version__
from tensordyno.cli import main as module
from tensordyno.cli.main import VERBS, LazyGroup
from tensordyno.errors import (
    DataError,
    InstrumentError,
    Interrupted,
    MissingPackage,
    NothingValid,
    StoreError,
    Unsupported,
    UsageError,
    WorkerFailure,
)


def test_every_verb_has_its_line_in_the_help(dyno):
    ended = dyno("--help")
    assert ended.status == 0 and ended.err == ""
    for verb in VERBS.names():
        assert VERBS.literal(verb, "SUMMARY") in " ".join(ended.out.split())
    assert "Exit codes: 0 done, 1 nothing VALID" in ended.out


def test_verbs_come_in_a_newcomers_order_and_new_ones_at_the_end(monkeypatch):
    names = (*VERBS.names(), "zebra")
    monkeypatch.setattr(type(VERBS), "names", lambda self: names)
    order = LazyGroup().list_commands(click.Context(LazyGroup()))
    assert order[:3] == ["doctor", "run", "infer"] and order[-1] == "zebra"
    assert sorted(order) == sorted(names)


def test_help_imports_no_verb():
    code = (
        "import sys; from tensordyno.cli.main import _status; sys.argv = ['dyno', '--help']; _status();"
        "found = [m for m in sys.modules if m.startswith(('tensordyno.cli.', 'rich', 'numpy'))];"
        "print(*found, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["tensordyno.cli.main"]


@pytest.mark.parametrize("verb", VERBS.names())
def test_every_verb_explains_itself(dyno, verb):
    ended = dyno(verb, "--help")
    assert ended.status == 0 and ended.out.startswith(f"Usage: dyno {verb}")


@pytest.mark.parametrize("verb", ["run", "infer", "accuracy", "quantize"])
def test_examples_stand_on_lines_of_their_own(dyno, verb):
    lines = dyno(verb, "--help").out.splitlines()
    examples = [line for line in lines if line.startswith(f"  dyno {verb}")]
    assert len(examples) >= 3 and not any("\\b" in line for line in lines)


def test_the_version(dyno):
    assert dyno("--version").out == f"dyno, version {__version__}\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NothingValid("nothing-valid", "Nothing."), 1),
        (UsageError("u", "Wrong."), 2),
        (DataError("d", "Bad."), 2),
        (MissingPackage("timm", "timm"), 3),
        (Unsupported("No."), 3),
        (StoreError("s", "Full."), 4),
        (WorkerFailure("w", "Dead."), 5),
        (InstrumentError("i", "Wrong."), 6),
        (RuntimeError("a bug"), 70),
        (Interrupted("interrupted", "Stopped."), 130),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_every_failure_is_one_line_and_a_status(monkeypatch, capsys, error, status):
    def fail(**options):
        raise error

    monkeypatch.setattr(module, "cli", fail)
    monkeypatch.setattr(sys, "argv", ["dyno"])
    assert module._status() == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dyno: ") and err.count("\n") == 1
    monkeypatch.setattr(sys, "argv", ["dyno", "--debug"])
    module._status()
    traced = "Traceback" in capsys.readouterr().err
    assert traced is not isinstance(error, KeyboardInterrupt | click.Abort)


def test_what_a_verb_returns_is_the_status(monkeypatch):
    for returned, status in ((None, 0), (0, 0), (1, 1)):
        monkeypatch.setattr(module, "cli", lambda returned=returned, **_: returned)
        assert module._status() == status


def test_a_reader_that_leaves_is_no_error():
    command = [sys.executable, "-m", "tensordyno.cli.main", "ls", "models"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")
