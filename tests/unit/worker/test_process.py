import os

from fake_worker import trial
from msgspec.structs import replace

from tensordyno.worker.process import peak_rss_bytes, process_facts, thread_count


def test_the_conditions_of_this_process(monkeypatch):
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setenv("UNRELATED", "1")
    facts = process_facts(replace(trial(), allocator="keep"), 2)
    assert (facts.pid, facts.threads, facts.allocator) == (os.getpid(), 2, "keep")
    assert facts.affinity == tuple(sorted(os.sched_getaffinity(0)))
    assert facts.environment["OMP_PROC_BIND"] == "true" and "UNRELATED" not in facts.environment
    assert facts.malloc_settings["MALLOC_ARENA_MAX"] == "2"
    assert facts.python.startswith("cpython 3.")


def test_threads_are_those_asked_for_or_all():
    assert thread_count(replace(trial(), threads=3)) == 3
    assert thread_count(trial()) == len(os.sched_getaffinity(0))


def test_the_most_memory_ever_held_is_in_bytes():
    with open("/proc/self/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert abs(peak_rss_bytes() / 1024 / kib - 1) < 0.2
