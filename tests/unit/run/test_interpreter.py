import os
import sys

from tensordyno.run.interpreter import KEEP_FREED_MEMORY, worker_command, worker_environment


def test_the_command_line():
    command = worker_command(None, 9)
    assert command[:3] == [sys.executable, "-m", "tensordyno.worker"]
    assert command[3:] == ["--reports", "9", "--parent", str(os.getpid())]
    assert worker_command("/opt/env/bin/python", 9)[0] == "/opt/env/bin/python"


def test_threads_and_allocator_reach_the_environment(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    plain = worker_environment(None, None, "default")
    assert plain["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert "MALLOC_MMAP_MAX_" not in plain and plain["PATH"] == os.environ["PATH"]
    asked = worker_environment(None, 3, "keep")
    assert asked["OMP_NUM_THREADS"] == "3" and asked.items() >= KEEP_FREED_MEMORY.items()


def test_only_a_foreign_interpreter_gets_a_search_path(monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "/my/models")
    assert worker_environment(None, None, "default")["PYTHONPATH"] == "/my/models"
    ours, theirs = worker_environment("python", None, "default")["PYTHONPATH"].split(os.pathsep)
    assert ours.startswith(str(tmp_path)) and theirs == "/my/models"
