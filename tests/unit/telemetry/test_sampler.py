import math
import time
from threading import Event

import pytest

from tensordyno.clock import FakeClock, RealClock
from tensordyno.records.reading import Channel, ChannelSet, DeviceFacts, Reading, Unavailable
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.sampler import Sampler

TIMEOUT_S = 60  # of a wait that ends at once unless the sampler is broken


def channel(name, source="toy"):
    return Channel(source=source, name=name, unit="1")


class Toy(Source):
    """Reads what it was given; an exception is raised, a callable is called first."""

    def __init__(self, *values, name="toy", clock=None, cost_s=0.0):
        self.name = name
        self.values = list(values)
        self.clock, self.cost_s = clock, cost_s
        self.closed = 0

    def open(self):
        return (channel("a", self.name), channel("b", self.name))

    def read(self):
        if self.clock is not None:
            self.clock.sleep(self.cost_s)
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return value

    def close(self):
        self.closed += 1


class Watching(Toy):
    def open(self):
        self.labels = {}
        return ()

    def watch(self, pids):
        self.labels |= pids
        return tuple(channel(label, self.name) for label in self.labels.values())

    def read(self):
        return [float(pid) for pid in self.labels]


class Missing(Toy):
    def open(self):
        raise SensorUnavailable("no such chip")


class Log(list):
    def __call__(self, source, record):
        self.append((source, record))

    def of(self, kind):
        return [record for _, record in self if isinstance(record, kind)]


def sampler_of(*sources, clock=None, interval_s=0.1):
    log = Log()
    clock = clock or FakeClock(100.0)
    return Sampler(sources, clock, interval_s, log), clock, log


def test_channels_come_first_then_readings_then_nothing_after_close():
    toy = Toy([1.0, math.nan])
    sampler, clock, log = sampler_of(toy)
    sampler.open()
    clock.sleep(sampler.tick())
    sampler.tick()
    sampler.close()
    sampler.close()
    assert [type(record) for _, record in log] == [ChannelSet, Reading, Reading]
    assert {source for source, _ in log} == {"toy"}
    assert log.of(Reading)[0].values == (1.0, None)
    assert toy.closed == 1


def test_the_schedule_is_absolute_so_slow_readings_do_not_add_up():
    clock = FakeClock(100.0)
    sampler, _, log = sampler_of(Toy([1.0, 2.0], clock=clock, cost_s=0.03), clock=clock)
    sampler.open()
    for _ in range(20):
        clock.sleep(sampler.tick())
    middles = [reading.t_s for reading in log.of(Reading)]
    assert middles == pytest.approx([100 + 0.1 * i + 0.015 for i in range(20)])
    facts = sampler.facts()
    assert (facts.samples, facts.late) == (20, 0)
    assert facts.mean_cost_s == pytest.approx(0.03)


def test_lateness_is_recorded_and_missed_sweeps_are_skipped():
    sampler, clock, log = sampler_of(Toy([1.0, 2.0]))
    sampler.open()
    sampler.tick()
    clock.sleep(0.372)  # something held the sampler up: due at 0.1
    wait_s = sampler.tick()
    assert wait_s == pytest.approx(0.028)
    clock.sleep(wait_s)
    sampler.tick()
    facts = sampler.facts()
    assert (facts.samples, facts.late) == (3, 1)
    assert facts.worst_lateness_s == pytest.approx(0.272)
    assert [reading.t_s for reading in log.of(Reading)] == pytest.approx([100, 100.372, 100.4])


def test_no_sweep_before_it_is_due():
    sampler, clock, log = sampler_of(Toy([1.0, 2.0]))
    sampler.open()
    sampler.tick()
    clock.sleep(0.04)
    assert sampler.tick() == pytest.approx(0.06)
    assert len(log.of(Reading)) == 1


def test_an_unavailable_source_is_told_with_its_reason_and_the_others_go_on():
    sampler, _, log = sampler_of(Missing([0.0], name="rapl"), Toy([1.0, 2.0]))
    sampler.open()
    sampler.tick()
    assert log.of(Unavailable) == [Unavailable(source="rapl", reason="no such chip")]
    assert len(log.of(Reading)) == 1


def test_a_source_that_breaks_while_opening_is_unavailable():
    class Broken(Toy):
        def open(self):
            raise OSError("bus error")

    broken = Broken([0.0])
    sampler, _, log = sampler_of(broken)
    sampler.open()
    assert log.of(Unavailable) == [Unavailable(source="toy", reason="OSError: bus error")]
    assert broken.closed == 1


def test_what_single_channels_lack_and_what_devices_are_is_told():
    class Telling(Toy):
        def devices(self):
            return (DeviceFacts(source="toy", device="gpu0", labels={"name": "T4"}),)

        def lacking(self):
            return ("energy: Not Supported",)

    sampler, _, log = sampler_of(Telling([1.0, 2.0]))
    sampler.open()
    assert log.of(DeviceFacts)[0].labels == {"name": "T4"}
    assert log.of(Unavailable) == [Unavailable(source="toy", reason="energy: Not Supported")]


def test_a_failing_source_reads_unknown_and_is_given_up_after_three_errors_in_a_row():
    bad = Toy(OSError("gone"), OSError("gone"), [1.0, 2.0], OSError("gone"), name="bad")
    good = Toy([1.0, 2.0])
    sampler, clock, log = sampler_of(bad, good)
    sampler.open()
    for _ in range(8):
        clock.sleep(sampler.tick())
    of_bad = [record for source, record in log if source == "bad" and isinstance(record, Reading)]
    assert [reading.values[0] for reading in of_bad] == [None, None, 1.0, None, None, None]
    (gone,) = log.of(Unavailable)
    assert gone.source == "bad"
    assert gone.reason == "given up after 3 errors in a row: OSError: gone"
    assert bad.closed == 1
    assert len([1 for source, record in log if source == "toy" and isinstance(record, Reading)]) == 8


def test_a_reading_of_the_wrong_length_is_an_error_not_a_shift():
    sampler, _, log = sampler_of(Toy([1.0]))
    sampler.open()
    sampler.tick()
    assert log.of(Reading)[0].values == (None, None)


def test_watch_adds_channels_from_the_next_reading_on():
    sampler, clock, log = sampler_of(Watching([0.0], name="process"), Toy([1.0, 2.0]))
    sampler.open()
    clock.sleep(sampler.tick())
    assert [source for source, record in log if isinstance(record, Reading)] == ["toy"]  # nothing watched yet
    sampler.watch({7: "torch"})
    clock.sleep(sampler.tick())
    sampler.watch({9: "openvino"})
    sampler.tick()
    sets = [
        record.channels for source, record in log if source == "process" and isinstance(record, ChannelSet)
    ]
    assert [[c.name for c in channels] for channels in sets] == [[], ["torch"], ["torch", "openvino"]]
    values = [record.values for source, record in log if source == "process" and isinstance(record, Reading)]
    assert values == [(7.0,), (7.0, 9.0)]


def test_a_pause_takes_no_samples_and_is_no_lateness():
    sampler, clock, log = sampler_of(Toy([1.0, 2.0]))
    sampler.open()
    sampler.tick()
    sampler.pause()
    clock.sleep(1.23)
    sampler.tick()
    assert len(log.of(Reading)) == 1
    sampler.resume()
    clock.sleep(sampler.tick())
    sampler.tick()
    assert [reading.t_s for reading in log.of(Reading)] == pytest.approx([100, 101.3])
    assert sampler.facts().worst_lateness_s == 0


def test_a_sampler_that_was_never_opened_may_be_paused_resumed_and_closed():
    toy = Toy([1.0, 2.0])
    sampler, _, log = sampler_of(toy)
    sampler.watch({7: "torch"})
    sampler.pause()
    sampler.resume()
    sampler.close()
    assert sampler.facts().samples == 0
    assert log == []


def test_an_interval_must_be_positive():
    with pytest.raises(ValueError, match="interval_s"):
        Sampler([], FakeClock(), 0.0, Log())


def test_the_thread_samples_pauses_resumes_and_ends():
    enough = Event()

    class Counting(Log):
        def __call__(self, source, record):
            super().__call__(source, record)
            if len(self) >= self.wanted:
                enough.set()

    log = Counting()
    log.wanted = 4
    with Sampler([Toy([1.0, 2.0])], RealClock(), 0.001, log) as sampler:
        sampler.start()
        assert enough.wait(TIMEOUT_S)
        sampler.pause()
        paused_at = len(log)
        assert sampler.facts().samples == paused_at - 1
        assert len(log) == paused_at
        enough.clear()
        log.wanted = paused_at + 3
        sampler.resume()
        assert enough.wait(TIMEOUT_S)
        sampler.pause()
        paused_at = len(log)
        time.sleep(0.02)  # the thread comes to rest; were it slower, the test would only see less
    assert len(log) == paused_at  # closing a paused sampler takes no last sample


def test_a_sink_that_fails_stops_the_thread_and_close_tells():
    failed = Event()

    def full_disk(source, record):
        if isinstance(record, Reading):
            failed.set()
            raise OSError(28, "No space left on device")

    toy = Toy([1.0, 2.0])
    sampler = Sampler([toy], RealClock(), 0.001, full_disk)
    sampler.start()
    assert failed.wait(TIMEOUT_S)
    with pytest.raises(OSError, match="No space left"):
        sampler.close()
    assert toy.closed == 1
    sampler.close()
