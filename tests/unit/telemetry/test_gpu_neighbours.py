import math
import os
from types import SimpleNamespace

import pynvml
import pytest
from fake_nvml import FakeNvml, lacking

from tensordyno.telemetry.gpu_neighbours import SWEEPS_BETWEEN, Neighbours

LISTED = "nvmlDeviceGetComputeRunningProcesses"


def gpu(*pids):
    return {LISTED: [SimpleNamespace(pid=pid) for pid in pids]}


@pytest.fixture
def proc(tmp_path):
    """200 and 201 are children of 100; 300 is nobody's; names may hold anything."""
    for pid, parent in ((100, 1), (200, 100), (201, 200), (300, 1)):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (a) b ) R {parent} 1 1 0")
    return tmp_path


def counts(library, gpus, proc, *pids):
    neighbours = Neighbours(library, range(gpus), proc)
    neighbours.watch(pids)
    return neighbours.counts()


def test_others_are_counted_on_each_gpu(proc):
    assert counts(FakeNvml(gpu(100, 300), gpu(300, 400)), 2, proc, 100) == [1.0, 2.0]


def test_children_of_a_worker_and_this_process_are_ours(proc):
    assert counts(FakeNvml(gpu(200, 201, os.getpid())), 1, proc, 100) == [0.0]


def test_unless_one_of_ours_shows_nothing_is_known(proc):
    """A container: the list is empty, or its numbers are the host's."""
    for listed in ((), (48123, 48124)):
        assert math.isnan(counts(FakeNvml(gpu(*listed)), 1, proc, 100)[0])


def test_once_one_of_ours_was_seen_an_empty_gpu_is_empty(proc):
    card = gpu(100)
    neighbours = Neighbours(FakeNvml(card, gpu()), range(2), proc)
    neighbours.watch([100])
    assert neighbours.counts() == [0.0, 0.0]
    card[LISTED] = []
    neighbours.watch([])
    assert neighbours.counts() == [0.0, 0.0]


def test_a_gpu_that_does_not_tell_is_unknown(proc):
    library = FakeNvml(gpu(100), lacking(LISTED), {LISTED: pynvml.NVMLError_NoPermission()})
    found = counts(library, 3, proc, 100)
    assert found[0] == 0
    assert all(math.isnan(value) for value in found[1:])


def test_the_driver_is_asked_now_and_then_and_at_once_for_a_new_worker(proc):
    library = FakeNvml(gpu(100))
    neighbours = Neighbours(library, range(1), proc)
    neighbours.watch([100])
    for _ in range(SWEEPS_BETWEEN):
        assert neighbours.counts() == [0.0]
    assert library.calls.count(LISTED) == 1
    neighbours.counts()
    assert library.calls.count(LISTED) == 2
    neighbours.watch([200])
    neighbours.counts()
    assert library.calls.count(LISTED) == 3
