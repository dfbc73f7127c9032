import pytest
from fake_worker import FakeWorker, burst, contender, trial

from tensordyno.run.contention import SpinReference
from tensordyno.run.overhead import measure_overhead
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import TrialFailed


class Switch:
    """A watch that only knows whether it is on."""

    interval_s = 0.1

    def __init__(self):
        self.on = True
        self.history = []

    def pause(self):
        self.on = False

    def resume(self):
        self.on = True


class Machine(FakeWorker):
    """4 images take so long with the sampler on, and 0.4 s with it off."""

    def __init__(self, switch, with_s, lost=(), dies_at=None):
        super().__init__()
        self.switch, self.with_s, self.lost, self.dies_at = switch, with_s, lost, dies_at

    def await_report(self, timeout_s, remedy=""):
        number = len(self.switch.history)
        self.switch.history.append(self.switch.on)
        if number == self.dies_at:
            raise WorkerDied("Dead.", -9, "")
        return burst(float(number), self.with_s if self.switch.on else 0.4, contended=number in self.lost)


def measured(pairs=4, **machine):
    switch = Switch()
    racing = contender(trial(), Machine(switch, **machine), 10, 10)
    return measure_overhead(racing, switch, SpinReference(), pairs), switch, racing


def test_the_ratio_is_on_over_off():
    overhead, switch, contender = measured(with_s=0.41)
    assert overhead.ratio == pytest.approx(0.4 / 0.41)
    assert overhead.low <= overhead.ratio <= overhead.high
    assert (overhead.rounds, overhead.interval_s) == (4, 0.1)
    assert all(order.rehearsal for order in contender.worker.orders[1:])
    assert len(contender.latencies_s) == 0 and switch.on


def test_pairs_begin_in_turn_with_on_and_off():
    _, switch, _ = measured(with_s=0.4)
    assert switch.history == [False, True, True, False] * 2


def test_a_pair_that_lost_a_burst_is_repeated_whole():
    overhead, switch, _ = measured(with_s=0.4, lost={1, 4})
    assert overhead.rounds == 4 and len(switch.history) == 2 * (4 + 2)


def test_a_machine_that_is_never_free_gives_no_number():
    overhead, switch, _ = measured(with_s=0.4, lost=set(range(100)))
    assert overhead is None and len(switch.history) == 2 * 3 * 4


def test_the_sampler_goes_on_after_a_death():
    switch = Switch()
    racing = contender(trial(), Machine(switch, 0.4, dies_at=0), 10, 10)
    with pytest.raises(TrialFailed):
        measure_overhead(racing, switch, SpinReference(), 4)
    assert switch.on
