"""The timed loop on steps of known cost and a clock that moves only when told."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.clock import FakeClock
from tensordyno.timing.loop import run_burst
from tensordyno.timing.step import Step


class SerialStep(Step):
    def __init__(self, clock, costs_s):
        self.clock, self.costs_s, self.runs = clock, costs_s, 0

    def run(self):
        self.clock.sleep(self.costs_s[self.runs % len(self.costs_s)])
        self.runs += 1

    def output(self):
        raise AssertionError("a timed loop never looks at the output")


class PipelinedStep(SerialStep):
    """Two batches side by side, each taking `cost` from the moment it starts."""

    depth = 2

    def run(self):
        raise AssertionError("a pipelined step is started and finished, never run")

    def start(self):
        self.runs += 1
        return self.clock.now() + self.costs_s[0]

    def finish(self, handle):
        self.clock.sleep(max(0.0, handle - self.clock.now()))


def test_latencies_are_the_costs_and_add_up_to_the_wall_clock():
    clock = FakeClock(100.0)
    laps = run_burst(SerialStep(clock, [0.25, 0.5]), clock, duration_s=1.5)
    assert laps.latencies_s == [0.25, 0.5, 0.25, 0.5]
    assert (laps.start_s, laps.stop_s) == (100.0, 101.5)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20), st.floats(0.001, 5), st.integers(1, 40))
def test_no_time_is_lost_between_batches(costs_s, duration_s, least):
    clock = FakeClock()
    laps = run_burst(SerialStep(clock, costs_s), clock, duration_s, least)
    assert sum(laps.latencies_s) == pytest.approx(laps.stop_s - laps.start_s)
    assert len(laps.latencies_s) >= least
    assert laps.stop_s - laps.start_s >= duration_s * (1 - 1e-9) or len(laps.latencies_s) == least


def test_the_last_batch_is_the_one_that_passes_the_deadline():
    clock = FakeClock()
    laps = run_burst(SerialStep(clock, [0.4]), clock, duration_s=1.0)
    assert len(laps.latencies_s) == 3


def test_a_pipeline_keeps_its_depth_in_flight():
    clock = FakeClock()
    step = PipelinedStep(clock, [0.1])
    laps = run_burst(step, clock, duration_s=2.0)
    assert len(laps.latencies_s) == step.runs
    # two at a time, each 0.1 s: 20 a second, and each batch's own latency stays 0.1 s
    assert len(laps.latencies_s) / (laps.stop_s - laps.start_s) == pytest.approx(20, rel=0.06)
    assert max(laps.latencies_s) == pytest.approx(0.1)


def test_a_short_pipelined_burst_still_holds_eight_times_its_depth():
    clock = FakeClock()
    laps = run_burst(PipelinedStep(clock, [1.0]), clock, duration_s=0.1)
    assert len(laps.latencies_s) == 16


def test_garbage_collection_rests_during_a_burst_and_comes_back_after_a_failure():
    clock = FakeClock()

    class Failing(SerialStep):
        def run(self):
            assert not gc.isenabled()
            raise RuntimeError("engine failed")

    assert gc.isenabled()
    with pytest.raises(RuntimeError):
        run_burst(Failing(clock, [0.1]), clock, 1.0)
    assert gc.isenabled()
