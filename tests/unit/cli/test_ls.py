import re

import pytest
from made_run import make_run

from tensordyno.datasets.base import DATASETS
from tensordyno.engines.base import ENGINES
from tensordyno.models.base import cards
from tensordyno.telemetry.base import SOURCES


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("models", tuple(cards())),
        ("engines", ENGINES.names()),
        ("datasets", DATASETS.names()),
        ("sensors", SOURCES.names()),
    ],
)
def test_the_members_of_a_catalogue(dyno, what, names):
    ended = dyno("ls", what)
    assert ended.status == 0
    first_words = {line.split()[0] for line in ended.out.splitlines() if line.strip()}
    assert set(names) <= first_words


def test_stored_runs_with_their_state(dyno, tmp_path):
    make_run(tmp_path / "runs" / "2026-a")
    half = make_run(tmp_path / "runs" / "2026-b")
    lines = (half / "records.jsonl").read_bytes().splitlines(keepends=True)
    (half / "records.jsonl").write_bytes(b"".join(lines[:5]))
    (tmp_path / "runs" / "2026-c").mkdir()
    (tmp_path / "runs" / "2026-c" / "records.jsonl").write_text("nonsense\n")
    ended = dyno("ls")
    assert ended.status == 0
    rows = {line.split()[0]: line for line in ended.out.splitlines() if line.strip().startswith("2026-")}
    assert "finished" in rows["2026-a"]
    assert "interrupted: dyno run --resume runs/2026-b" in rows["2026-b"]
    assert "not a Tensordyno record" in rows["2026-c"]


def test_the_newest_run_comes_last_whatever_its_name(dyno, tmp_path):
    for name, started in (("a", "2027"), ("b", "2025"), ("c", "2026")):
        records = make_run(tmp_path / "runs" / name) / "records.jsonl"
        first, _, rest = records.read_text().partition("\n")
        records.write_text(re.sub(r'"started":"\d{4}', f'"started":"{started}', first) + "\n" + rest)
    lines = [line.split() for line in dyno("ls").out.splitlines()]
    assert [line[0] for line in lines[1:]] == ["b", "c", "a"]
    assert lines[0] == ["run", "started", "devices", "trials", "valid", "state"]


def test_no_runs_yet(dyno):
    assert dyno("ls").out == "No runs in runs. Type: dyno run\n"
    assert dyno("ls", "-C", "elsewhere").out == "No runs in elsewhere. Type: dyno run\n"
