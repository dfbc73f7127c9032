import numpy as np
import pytest

from tensordyno.clock import FakeClock, RealClock
from tensordyno.engines.null_step import NullStep, SideBySide, WorkStep, waiting

LOGITS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_step_waits_what_it_costs_and_keeps_its_answers():
    clock = FakeClock()
    step = NullStep(waiting(0.5, clock, spin=True), lambda: 0.5, LOGITS)
    step.run()
    assert clock.now() == 0.5
    step.output()[:] = -1
    np.testing.assert_array_equal(step.output(), LOGITS)


def test_batches_side_by_side_take_the_time_of_one():
    clock = FakeClock()
    step = SideBySide(waiting(2.0, clock, spin=False), lambda: 2.0, LOGITS, depth=3, clock=clock)
    flying = [step.start() for _ in range(step.depth)]
    for handle in flying:
        step.finish(handle)
    assert clock.now() == 2.0


def test_work_is_done_once_a_batch():
    done = []
    step = WorkStep(lambda: done.append(1), LOGITS)
    step.run()
    assert done == [1] and step.output() is not LOGITS


@pytest.mark.parametrize("clock", [FakeClock(), RealClock()])
def test_no_cost_is_no_call(clock, monkeypatch):
    monkeypatch.setattr(type(clock), "sleep", lambda *_: pytest.fail("slept"))
    waiting(0.0, clock, spin=True)(0.0)
