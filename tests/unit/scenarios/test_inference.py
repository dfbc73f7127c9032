"""Warm-up, bursts and lost bursts, on a clock and with probes that do what a test says."""

import numpy as np
import pytest
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.clock import FakeClock
from tensordyno.records.burst import Probe
from tensordyno.records.messages import BurstOrder
from tensordyno.scenarios import inference as module
from tensordyno.scenarios.inference import MEMBER, InferenceScenario
from tensordyno.timing.step import Step


class Ticking(Step):
    """Each batch takes the next of these times, the last one for ever."""

    def __init__(self, clock, *durations_s):
        self._clock = clock
        self._durations_s = list(durations_s)

    def run(self):
        self._clock.sleep(self._durations_s[0])
        if len(self._durations_s) > 1:
            self._durations_s.pop(0)

    def output(self):
        return np.zeros((1, 1), np.float32)


class Probes:
    """Losses that spin probes find, in turn; none after the last."""

    def __init__(self, threads):
        self.threads = threads
        self.rates = []
        self.closed = False

    losses: tuple[float, ...] = ()

    def measure(self, best_rate, duration_s):
        self.rates.append(best_rate)
        number = len(self.rates) - 1
        return Probe(rate=100.0, loss=self.losses[number] if number < len(self.losses) else 0.0)

    def close(self):
        self.closed = True


def scenario(*durations_s, batch_size=1, **measurement):
    clock = FakeClock()
    asked = trial(**({"clock": "fake", "min_seconds": 1} | measurement))
    asked = module.Trial(
        **{f: getattr(asked, f) for f in asked.__struct_fields__} | {"batch_size": batch_size}
    )
    return InferenceScenario(asked, Ticking(clock, *durations_s), clock, threads=2), clock


@pytest.fixture
def probed(monkeypatch):
    """A scenario that probes, as on the real clock."""

    def make(*losses, **measurement):
        monkeypatch.setattr(module, "RealClock", FakeClock)
        monkeypatch.setattr(module, "SpinProbe", type("Told", (Probes,), {"losses": losses}))
        return scenario(0.125, **measurement)[0]

    return make


def test_the_member_is_the_scenario():
    assert MEMBER is InferenceScenario


def test_bursts_count_images_and_keep_every_latency():
    measuring, clock = scenario(0.125, batch_size=8)
    report = measuring.burst(BurstOrder())
    assert report.burst.batches == 4 and report.burst.images == 32
    assert report.burst.duration_s == pytest.approx(0.5)
    assert report.latencies_s == pytest.approx([0.125] * 4)
    assert report.burst.before is None and not report.burst.contended
    assert clock.now() >= report.burst.stop_s


def test_warm_up_goes_on_until_the_medians_settle_and_is_reported_once():
    measuring, _ = scenario(*[1.0, 0.5, 0.3, 0.2], 0.125)
    first = measuring.burst(BurstOrder())
    assert first.warmup is not None and first.warmup.settled
    assert first.warmup.stop_s - first.warmup.start_s >= 2.0
    assert first.burst.start_s >= first.warmup.stop_s
    assert first.latencies_s == pytest.approx([0.125] * 4)  # nothing of the warm-up is among them
    assert measuring.burst(BurstOrder()).warmup is None


def test_a_warm_up_that_never_settles_ends_with_half_of_the_time():
    falling = [1.0 * 0.9**n for n in range(200)]
    measuring, _ = scenario(*falling, max_seconds=8)
    warmup = measuring.burst(BurstOrder()).warmup
    assert warmup is not None and not warmup.settled
    assert 4 <= warmup.stop_s - warmup.start_s < 5


def test_it_is_done_when_time_bursts_and_interval_say_so():
    measuring, _ = scenario(0.125, min_seconds=1)
    reports = [measuring.burst(BurstOrder()) for _ in range(5)]
    assert [report.done for report in reports] == [False] * 4 + [True]
    assert reports[1].half_width is None and reports[2].half_width == pytest.approx(0)


def test_a_rehearsal_brings_the_trial_no_nearer_to_its_end():
    measuring, _ = scenario(0.125)
    reports = [measuring.burst(BurstOrder(rehearsal=True)) for _ in range(9)]
    assert not any(report.done for report in reports) and reports[-1].half_width is None


def test_probes_bracket_each_burst(probed):
    measuring = probed()
    report = measuring.burst(BurstOrder(spin_rate=120.0))
    assert report.burst.before is not None and report.burst.after is not None
    assert measuring._probe.rates == [120.0, 120.0] and measuring._probe.threads == 2
    measuring.close()
    assert measuring._probe.closed


def test_a_burst_is_not_even_begun_when_the_cores_are_taken(probed):
    measuring = probed(0.2)
    report = measuring.burst(BurstOrder(spin_rate=100.0))
    assert report.burst.contended and report.latencies_s == ()
    assert (report.burst.batches, report.burst.duration_s, report.burst.after) == (0, 0, None)
    assert not measuring.burst(BurstOrder(spin_rate=100.0)).burst.contended


def test_a_burst_that_lost_its_cores_midway_counts_for_nothing(probed):
    measuring = probed(0.0, 0.2)
    lost = measuring.burst(BurstOrder(spin_rate=100.0))
    assert lost.burst.contended and len(lost.latencies_s) == 4
    reports = [measuring.burst(BurstOrder(spin_rate=100.0)) for _ in range(5)]
    assert [report.done for report in reports] == [False] * 4 + [True]


@pytest.mark.parametrize(("loss", "contended"), [(0.06, False), (0.0601, True), (0.5, True)])
def test_how_much_may_be_lost(probed, loss, contended):
    assert probed(loss, max_probe_loss=0.06).burst(BurstOrder()).burst.contended is contended


def test_ranks_begin_at_the_moment_they_were_told(monkeypatch):
    measuring, clock = scenario(0.125)
    measuring.burst(BurstOrder())
    begin_s = clock.now() + 3
    assert measuring.burst(BurstOrder(begin_s=begin_s)).burst.start_s == pytest.approx(begin_s)
    late = measuring.burst(BurstOrder(begin_s=clock.now() - 1))
    assert late.burst.duration_s == pytest.approx(0.5)  # at once


def test_a_window_of_its_own_length_after_a_lead_in():
    measuring, _ = scenario(0.125)
    before = measuring.burst(BurstOrder()).burst.stop_s
    report = measuring.burst(BurstOrder(rehearsal=True, duration_s=5.0, lead_s=1.5))
    assert report.burst.duration_s == pytest.approx(5.0) and report.burst.batches == 40
    assert report.burst.start_s == pytest.approx(before + 1.5)
    assert not report.done  # a rehearsal satisfies no stopping rule


def test_a_joint_burst_runs_even_where_cores_are_taken_and_says_so(probed):
    measuring = probed(0.0, 0.5)
    measuring.burst(BurstOrder())
    report = measuring.burst(BurstOrder(begin_s=0.0))
    assert report.burst.batches > 0 and report.burst.contended is False
    taken = probed(0.5)
    report = taken.burst(BurstOrder(begin_s=0.0))
    assert report.burst.batches > 0 and report.burst.contended


def test_the_devices_own_time_is_that_of_the_burst_alone():
    class Timed(Ticking):
        """A device whose clock runs at half speed."""

        passed_s = 0.0

        def run(self):
            before = self._clock.now()
            super().run()
            self.passed_s += (self._clock.now() - before) / 2

        def device_s(self):
            passed, self.passed_s = self.passed_s, 0.0
            return passed

    clock = FakeClock()
    timed = Timed(clock, 0.125)
    measuring = InferenceScenario(trial(clock="fake", min_seconds=1), timed, clock, threads=1)
    report = measuring.burst(BurstOrder())
    assert report.burst.device_s == pytest.approx(report.burst.duration_s / 2)
    assert scenario(0.125)[0].burst(BurstOrder()).burst.device_s is None


@pytest.mark.parametrize(("loss", "contended"), [(0.44, False), (0.46, True)])
def test_one_thread_probes_for_a_gpu_and_may_lose_more(monkeypatch, loss, contended):
    threads = []

    class Told(Probes):
        losses = (loss, loss)

        def __init__(self, count, *, patient=True):
            super().__init__(count)
            threads.append((count, patient))

    monkeypatch.setattr(module, "RealClock", FakeClock)
    monkeypatch.setattr(module, "SpinProbe", Told)
    clock = FakeClock()
    asked = replace(trial(clock="fake"), device="cuda:0")
    measuring = InferenceScenario(asked, Ticking(clock, 0.125), clock, threads=16)
    assert measuring.burst(BurstOrder()).burst.contended is contended
    assert threads == [(1, False)]
