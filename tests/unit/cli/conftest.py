"""`dyno` within this process."""

import pytest
from flow_tools import InProcess

from tensordyno.cli import execute


@pytest.fixture
def dyno(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return InProcess(capsys, monkeypatch)


@pytest.fixture
def asked_of(dyno, monkeypatch):
    """For a verb: the spec and the options that its command line makes."""
    seen = {}

    def start(loaded, output, **options):
        seen.update(spec=loaded.spec, output=output, **options)
        return 0

    monkeypatch.setattr(execute, "start", start)

    def of(verb):
        def ask(text):
            ended = dyno(verb, *text.split())
            assert ended.status == 0, ended.err
            return seen

        return ask

    return of
