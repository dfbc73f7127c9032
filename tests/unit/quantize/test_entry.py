import os
import signal
import subprocess
import sys
import threading

import pytest

from tensordyno.errors import StoreError
from tensordyno.quantize.entry import ensure, is_whole

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from tensordyno.quantize import entry
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
def make(folder):
    (folder / "a").write_bytes(b"whole")
    if sys.argv[2] == "write":
        with (folder / "b").open("wb") as file:
            file.write(b"ha")
            file.flush()
            die()
    (folder / "b").write_bytes(b"half")
if sys.argv[2] == "rename":
    Path.rename = die
entry.ensure(Path(sys.argv[1]), make)
"""


def make(folder):
    (folder / "a").write_bytes(b"whole")
    (folder / "b").write_bytes(b"half")


def never(folder):
    raise AssertionError("made again")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "level" / "entry"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_made_once_then_found(folder):
    assert ensure(folder, make) is False
    assert ensure(folder, never) is True
    assert files(folder) == ["a", "b", "contents.json"]


def test_nothing_else_is_left_beside_it(folder):
    ensure(folder, make)
    assert files(folder.parent) == [".entry.lock", "entry"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "a").unlink(),
        lambda folder: (folder / "a").write_bytes(b"who"),
        lambda folder: (folder / "a").write_bytes(b"Whole"),
        lambda folder: (folder / "c").write_bytes(b"more"),
        lambda folder: (folder / "contents.json").unlink(),
        lambda folder: (folder / "contents.json").write_bytes(b'{"a":'),
        lambda folder: (folder / "contents.json").write_bytes(b"[1]"),
    ],
    ids=["missing", "truncated", "changed", "added", "no-contents", "half-contents", "other-contents"],
)
def test_a_broken_folder_is_made_anew(folder, harm):
    ensure(folder, make)
    harm(folder)
    assert not is_whole(folder)
    assert ensure(folder, make) is False
    assert is_whole(folder)
    assert files(folder) == ["a", "b", "contents.json"]


def test_a_file_in_its_place_is_replaced(folder):
    folder.parent.mkdir()
    folder.write_bytes(b"")
    assert ensure(folder, make) is False
    assert is_whole(folder)


def test_what_does_not_fit_is_made_anew(folder):
    ensure(folder, make)
    assert ensure(folder, lambda into: (into / "other").write_bytes(b""), lambda: False) is False
    assert files(folder) == ["contents.json", "other"]


@pytest.mark.parametrize("moment", ["write", "rename"])
def test_a_killed_process_leaves_nothing_that_counts(folder, moment):
    died = subprocess.run([sys.executable, "-c", KILLED_AT, str(folder), moment], check=False)
    assert died.returncode == -signal.SIGKILL
    assert any(name.startswith(".entry-") for name in os.listdir(folder.parent))
    assert not folder.exists()
    assert ensure(folder, make) is False
    assert files(folder.parent) == [".entry.lock", "entry"]  # the remains are gone as well


def test_a_failure_leaves_the_old_folder_and_no_remains(folder):
    ensure(folder, make)
    with pytest.raises(AssertionError):
        ensure(folder, never, lambda: False)
    assert is_whole(folder)
    assert files(folder.parent) == [".entry.lock", "entry"]


def test_two_at_once_make_it_once(folder):
    made, both = [], threading.Barrier(2, timeout=60)

    def fits_late():
        return True

    def slowly(into):
        made.append(into)
        make(into)

    def one():
        both.wait()
        answers.append(ensure(folder, slowly, fits_late))

    answers = []
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert sorted(answers) == [False, True]


def test_while_one_makes_it_another_waits(folder):
    inside, go_on = threading.Event(), threading.Event()
    order = []

    def first(into):
        inside.set()
        go_on.wait(60)
        order.append("made")
        make(into)

    def second():
        ensure(folder, never)
        order.append("found")

    threads = [threading.Thread(target=ensure, args=(folder, first)), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(60)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert order == ["made", "found"]


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "level").write_bytes(b"")
    with pytest.raises(StoreError):
        ensure(tmp_path / "level" / "entry", make)


def test_a_full_disk_is_a_store_error(folder):
    def full(into):
        raise OSError(28, os.strerror(28))

    with pytest.raises(StoreError) as refused:
        ensure(folder, full)
    assert refused.value.slug == "disk-full"


def test_a_listener_that_left_is_not_the_disks_fault(folder):
    def gone(into):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ensure(folder, gone)
