"""`dyno` within this process."""

import pytest
from flow_tools import InProcess


@pytest.fixture
def dyno(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return InProcess(capsys, monkeypatch)
