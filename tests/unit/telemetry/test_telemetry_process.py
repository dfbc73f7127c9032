import math
import os
import subprocess
import sys

import fake_system
import psutil
import pytest

from tensordyno.clock import FakeClock
from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.process import ProcessSource

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def stat_line(utime=0, stime=0, threads=1, pages=1, state="R"):
    columns = ["0"] * 49
    columns[0], columns[11], columns[12], columns[17], columns[21] = state, utime, stime, threads, pages
    return f"42 (python (odd) name) {' '.join(map(str, columns))}\n"


@pytest.fixture
def proc(tmp_path):
    io = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\n"
    return fake_system.write(tmp_path, {"self/stat": "x", "42/stat": stat_line(), "42/io": io})


def test_values_of_one_process(proc):
    clock = FakeClock()
    source = ProcessSource(proc, clock)
    assert source.open() == ()
    channels = source.watch({42: "torch"})
    assert [(c.name, c.unit, c.cumulative) for c in channels] == [
        ("utilisation", "%", False),
        ("rss", "B", False),
        ("threads", "1", False),
        ("read", "B", True),
        ("written", "B", True),
    ]
    assert {c.device for c in channels} == {"pid 42 (torch)"}
    clock.sleep(2)
    fake_system.write(
        proc, {"42/stat": stat_line(utime=2 * TICKS_PER_S, stime=TICKS_PER_S, threads=7, pages=10)}
    )
    assert source.read() == [150, 10 * PAGE_BYTES, 7, 4096, 8192]
    source.close()


def test_watch_adds_and_returns_all_channels(proc):
    fake_system.write(proc, {"43/stat": stat_line()})
    source = ProcessSource(proc, FakeClock())
    source.open()
    assert len(source.watch({42: "torch"})) == 5
    both = source.watch({43: "onnxruntime"})
    assert [c.device for c in both[::5]] == ["pid 42 (torch)", "pid 43 (onnxruntime)"]
    assert len(source.watch({42: "torch"})) == 10
    values = source.read()
    assert len(values) == 10
    assert all(math.isnan(value) for value in values[8:])  # 43 has no io: another user's
    source.close()


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_has_no_readings(proc, state):
    source = ProcessSource(proc, FakeClock())
    source.open()
    source.watch({42: "torch"})
    fake_system.write(proc, {"42/stat": stat_line(state=state)})
    assert all(math.isnan(value) for value in source.read())
    source.close()


def test_a_process_that_ended_reads_nan_and_leaves_at_the_next_watch():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    source = ProcessSource()
    source.open()
    source.watch({child.pid: "child"})
    assert source.read()[1] > 0
    child.communicate(b"\n")
    assert all(math.isnan(value) for value in source.read())
    assert {c.device for c in source.watch({os.getpid(): "me"})} == {f"pid {os.getpid()} (me)"}
    source.close()


def test_a_process_that_never_was_reads_nan(proc):
    source = ProcessSource(proc, FakeClock())
    source.open()
    assert len(source.watch({99: "gone"})) == 5
    assert all(math.isnan(value) for value in source.read())
    source.close()


def test_agrees_with_psutil_on_this_process():
    source = ProcessSource()
    source.open()
    source.watch({os.getpid(): "me"})
    _, rss, threads, *_ = source.read()
    seen = psutil.Process()
    assert threads == seen.num_threads()
    assert rss == pytest.approx(seen.memory_info().rss, rel=0.2)
    source.close()


def test_without_proc_there_is_no_source(tmp_path):
    with pytest.raises(SensorUnavailable, match="/proc"):
        ProcessSource(tmp_path / "proc").open()
