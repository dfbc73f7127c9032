"""Fixtures of the flow tests."""

import pytest
from flow_tools import InProcess, null, spec, write_spec

from tensordyno.cli.main import _status


@pytest.fixture
def dyno(capsys, monkeypatch, tmp_path):
    """`dyno` within this process, started in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return InProcess(capsys, monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def prepared_network(tmp_path_factory):
    """The network of the flow tests lies ready, so that no test's own time limit pays for it."""
    folder = tmp_path_factory.mktemp("prepare")
    path = write_spec(folder, spec([null()]))
    patch = pytest.MonkeyPatch()
    patch.setattr("sys.argv", ["dyno", "run", str(path), "-o", str(folder / "run"), "--no-report"])
    assert _status() == 0
    patch.undo()
