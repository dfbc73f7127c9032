from contextlib import nullcontext

import pytest
import torch

from tensordyno.forge.stopwatch import gpu_us


@pytest.fixture
def cuda(monkeypatch):
    """A GPU whose events read these times, in ms, one after the other; the first was too long."""
    took = [0.9, 0.2, 0.6, 0.3, 0.4, 0.5, 0.1]
    times = iter(took)

    class Event:
        def __init__(self, *, enable_timing):
            assert enable_timing

        def record(self):
            pass

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return next(times)

    class Graph:
        def replay(self):
            pass

        def capture_begin(self):
            pass

        def capture_end(self):
            pass

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def test_the_median_of_one_run_without_the_first_round(cuda):
    runs = []
    assert gpu_us([lambda: runs.append(0)]) == pytest.approx(400 / 20)
    assert len(runs) == 20


def test_takes_all_sets_in_turn(cuda):
    runs = []
    assert gpu_us([lambda n=n: runs.append(n) for n in range(7)]) == pytest.approx(400 / 21)
    assert runs == list(range(7)) * 3


def test_a_hopeless_one_is_timed_once(cuda):
    assert gpu_us([lambda: None], hopeless_us=44.9) == pytest.approx(45)
    with pytest.raises(StopIteration):  # of the seven times one is used up
        for _ in range(2):
            gpu_us([lambda: None], hopeless_us=45)
