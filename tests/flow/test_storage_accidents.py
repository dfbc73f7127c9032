"""What can befall a run folder: the disk fills, permissions lack, what is stored was damaged."""

import ctypes
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from flow_tools import (
    QUICK,
    null,
    run_dyno,
    spec,
    verdicts,
    workers_here,
    write_spec,
)

from tensordyno.store.reader import read_run
from tensordyno.store.writer import RunWriter

# -- disks and permissions -----------------------------------------------------------------------------

MANY = [null(cost_s=0.001 * n) for n in (3, 2, 1)]
LONG = QUICK["measure"] | {"min_seconds": 15, "max_seconds": 40}  # 40, 60 and 120 kB of samples


def is_disk_full(ended, root):
    assert ended.status == 4, ended
    assert ended.err.startswith("dyno: The disk is full: ") and ended.err.endswith(" [disk-full]\n")
    assert ended.err.count("\n") == 1
    run = read_run(root)
    assert not run.truncated
    assert run.footer is not None and run.footer.interrupted
    assert not list(Path(root).glob("*/*.part"))


def test_a_full_disk_ends_the_run_in_one_line_and_resume_completes_it(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=480k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        path = write_spec(tmp_path, spec(MANY, measure=LONG, interleave=False))
        stuffing = disk / "stuffing"
        stuffing.write_bytes(bytes(220 * 1024))
        ended = run_dyno("run", path, "-o", disk / "run", "--no-report", cwd=tmp_path)
        is_disk_full(ended, disk / "run")
        assert 0 < list(verdicts(disk / "run").values()).count("valid") < 3
        assert "interrupted" in verdicts(disk / "run").values()
        stuffing.unlink()
        ended = run_dyno("run", "--resume", disk / "run", "--no-report", cwd=tmp_path)
        assert ended.status == 0, ended.err
        assert list(verdicts(disk / "run").values()) == ["valid"] * 3
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_without_privileges(dyno, tmp_path, monkeypatch):
    """The second trial's samples find no room; what is small still fits."""
    path = write_spec(tmp_path, spec(MANY, interleave=False))
    save, saved = RunWriter.save_latencies, []

    def full_at_the_second(writer, trial_id, latencies_s):
        saved.append(trial_id)
        if len(saved) == 2:
            with resource_limit(100):
                save(writer, trial_id, latencies_s)
        save(writer, trial_id, latencies_s)

    monkeypatch.setattr(RunWriter, "save_latencies", full_at_the_second)
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 4 and ended.err.count("\n") == 1
    assert "cannot be written: File too large" in ended.err
    run = read_run(Path("run"))
    assert sorted(o.verdict for o in run.outcomes) == ["interrupted", "valid"]
    assert run.footer is not None and run.footer.interrupted
    assert not list(Path("run").glob("*/*.part")) and not workers_here()
    monkeypatch.undo()
    assert dyno("run", "--resume", tmp_path / "run", "--no-report").status == 0
    assert list(verdicts(tmp_path / "run").values()) == ["valid"] * 3


class resource_limit:
    """Within the block no file may grow beyond so many bytes: writing more fails, as on a full disk."""

    def __init__(self, size):
        self._size = size

    def __enter__(self):
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *error):
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_a_full_cache_ends_the_run_too(dyno, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.write_text("a file where a folder should be")
    monkeypatch.setenv("TENSORDYNO_CACHE", str(cache))
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 4 and ended.err.count("\n") == 1 and str(cache) in ended.err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert dyno("run", "--resume", "run", "--no-report").status == 0


def test_a_file_in_place_of_the_folder(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null()]))
    for place in (path, path / "run"):
        ended = dyno("run", path, "-o", place, "--no-report")
        assert ended.status == 4 and ended.err.count("\n") == 1
        assert ended.err.startswith(f"dyno: {place} cannot be written: ")


def give_up_the_power_of_root():
    """Root may write everywhere; the program started after this may not. Others lose nothing."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE (linux/capability.h)


def test_a_folder_that_may_not_be_written(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    tried = subprocess.run(
        ["mkdir", locked / "try"], preexec_fn=give_up_the_power_of_root, capture_output=True, check=False
    )
    if tried.returncode == 0:
        pytest.skip("root cannot give up its power over files here")
    path = write_spec(tmp_path, spec([null()]))
    root = locked / "run"
    ended = run_dyno("run", path, "-o", root, preexec_fn=give_up_the_power_of_root)
    assert (ended.status, ended.err) == (
        4,
        f"dyno: No permission to write {root}. Choose another folder with -o DIR. [no-permission]\n",
    )


# -- stored runs that are not what they should be ------------------------------------------------------


@pytest.fixture
def stored(dyno, tmp_path):
    path = write_spec(tmp_path, spec([null(cost_s=0.01)]))
    assert dyno("run", path, "-o", "run", "--no-report").status == 0
    return tmp_path / "run"


def test_a_newer_schema_is_named_and_nothing_is_changed(dyno, stored):
    records = stored / "records.jsonl"
    newer = records.read_bytes().replace(b'"schema":1', b'"schema":99')
    records.write_bytes(newer)
    for arguments in (("report", stored), ("run", "--resume", stored), ("compare", stored, stored)):
        ended = dyno(*arguments)
        assert ended.status == 4 and ended.err.count("\n") == 1
        assert "records.jsonl:1: schema version 99 is newer" in ended.err
        assert ended.err.endswith("pip install --upgrade tensordyno [unknown-schema]\n")
    assert records.read_bytes() == newer
    listed = dyno("ls", "-C", stored.parent)
    assert listed.status == 0 and "schema version 99" in " ".join(listed.out.split())


def test_a_broken_line_is_named(dyno, stored):
    records = stored / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(lines[0] + b'{"schema":1,"kind":"outcome","data":{"verdict":7}}\n' + lines[2])
    ended = dyno("report", stored)
    assert ended.status == 4 and f"{records}:2: not a Tensordyno record" in ended.err


@pytest.mark.parametrize("verb", [("report",), ("run", "--resume"), ("compare", "run")])
def test_a_folder_that_is_no_run(dyno, stored, verb, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "spec.yaml"):
        ended = dyno(*verb, place)
        assert ended.status == 4
        assert ended.err == f"dyno: {place} holds no run (no records.jsonl). Type: dyno ls [no-run]\n"


def test_a_damaged_spec_or_plan_is_the_folders_fault(dyno, stored):
    records = stored / "records.jsonl"
    records.write_bytes(records.read_bytes().splitlines(keepends=True)[0])
    (stored / "spec.yaml").write_text("models: [\n")
    ended = dyno("run", "--resume", stored)
    assert ended.status == 4 and ended.err.endswith("[broken-record]\n") and ended.err.count("\n") == 1
    (stored / "plan.json").write_text("{")
    ended = dyno("run", "--resume", stored)
    assert ended.status == 4 and "plan.json" in ended.err and ended.err.count("\n") == 1
