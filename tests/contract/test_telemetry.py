"""What every telemetry source promises, on this machine as it is and on a well-equipped one."""

import math
import os
import time
from pathlib import Path

import fake_system
import pytest
from fake_nvml import H200, FakeNvml

from tensordyno.clock import FakeClock
from tensordyno.records.reading import Reading
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.store.reader import read_series
from tensordyno.telemetry.base import SOURCES, SensorUnavailable, open_sources
from tensordyno.telemetry.sampler import Sampler

GOLD = Path(__file__).parents[1] / "gold" / "nvml_h200.jsonl"
UNITS = {"W", "J", "%", "B", "B/s", "Hz", "degC", "1"}
MACHINES = ("here", "equipped")


def build(name, machine, root):
    """A source of this machine, or one that looks at a machine with every sensor."""
    member = SOURCES.module(name).MEMBER
    if name == "replay":
        return member(GOLD, FakeClock())
    if machine == "here":
        return member()
    if name == "nvml":
        return member(FakeNvml(H200))
    roots = {"proc": root / "proc", "sys": root / "sys"}
    wanted = {"memory": ["proc"], "process": ["proc"], "infiniband": ["sys"], "rapl": ["sys"]}.get(
        name, roots
    )
    return member(**{key: roots[key] for key in wanted})


@pytest.fixture(params=[(name, machine) for name in SOURCES.names() for machine in MACHINES], ids="-".join)
def source(request, tmp_path):
    name, machine = request.param
    source = build(name, machine, fake_system.machine(tmp_path))
    yield source
    source.close()


def opened(source):
    """The source's channels, processes watched; the test ends here when the source has a good excuse."""
    try:
        channels = source.open()
    except SensorUnavailable as reason:
        assert len(str(reason)) > 10
        return None
    return source.watch({os.getpid(): "me"}) or channels


def test_reads_one_number_for_each_channel_again_and_again(source):
    channels = opened(source)
    if channels is not None:
        assert channels
        for _ in range(3):
            values = source.read()
            assert len(values) == len(channels)
            assert all(isinstance(value, float) and not math.isinf(value) for value in values)


def test_channels_have_known_units_and_are_told_apart(source):
    channels = opened(source) or ()
    assert {channel.unit for channel in channels} <= UNITS
    assert len({(c.source, c.name, c.device) for c in channels}) == len(channels)
    assert {channel.source for channel in channels} <= {source.name}


def test_counters_only_grow(source):
    channels = opened(source)
    if channels is not None:
        first, second = source.read(), source.read()
        for channel, before, after in zip(channels, first, second, strict=True):
            assert not channel.cumulative or math.isnan(before) or after >= before


def test_reasons_are_sentences_and_devices_are_those_of_the_channels(source):
    channels = opened(source) or ()
    assert all(len(reason) > 10 for reason in source.lacking())
    assert {facts.device for facts in source.devices()} <= {channel.device for channel in channels}


def test_closing_twice_is_harmless_opened_or_not(source):
    source.close()
    opened(source)
    source.close()
    source.close()


@pytest.mark.parametrize("name", SOURCES.names())
def test_an_equipped_machine_lacks_no_sensor(name, tmp_path):
    source = build(name, "equipped", fake_system.machine(tmp_path))
    assert opened(source)
    source.close()


@pytest.mark.parametrize("name", [name for name in SOURCES.names() if name != "replay"])
def test_an_empty_machine_makes_every_source_unavailable_with_a_reason(name, tmp_path):
    source = build(name, "equipped", tmp_path) if name != "nvml" else SOURCES.module(name).MEMBER(FakeNvml())
    with pytest.raises(SensorUnavailable, match=r"\w+ \w+"):
        source.open()
    source.close()


def test_what_the_sampler_stores_reads_back_as_series(tmp_path):
    folder = RunFolder(tmp_path)
    folder.readings.mkdir()

    def store(source, record):
        with folder.reading_file(source).open("ab") as file:
            file.write(encode_line(record))

    clock = FakeClock(10.0)
    sampler = Sampler(open_sources(), clock, 0.1, store)
    sampler.open()
    sampler.watch({os.getpid(): "me"})
    for _ in range(5):
        clock.sleep(sampler.tick())
    sampler.close()
    for file in folder.readings.glob("*.jsonl"):
        for series in read_series(file):
            sweeps = [10.0, 10.1, 10.2, 10.3, 10.4]
            if SOURCES.module(file.stem).MEMBER.period == 1:
                assert series.times_s == pytest.approx(sweeps)
            else:  # slow sources take turns: each once in as many sweeps as its period has
                assert len(series.times_s) == 1 and 9.99 < series.times_s[0] < 10.41
            assert series.values.shape == series.times_s.shape
            assert series.channel.source == file.stem
    names = {
        (s.channel.source, s.channel.name) for f in folder.readings.glob("*.jsonl") for s in read_series(f)
    }
    assert {("cpu", "utilisation"), ("memory", "used"), ("process", "rss")} <= names


def test_one_sweep_over_this_machine_is_cheap():
    readings = []
    sampler = Sampler(
        open_sources(["cpu", "disk", "memory", "network", "process"]),
        clock := FakeClock(),
        0.1,
        lambda _, record: readings.append(record),
    )
    sampler.open()
    sampler.watch({os.getpid(): "me"})
    costs_s = []
    for _ in range(20):
        before_s = time.process_time()
        wait_s = sampler.tick()
        costs_s.append(time.process_time() - before_s)
        clock.sleep(wait_s)
    sampler.close()
    assert sum(isinstance(record, Reading) for record in readings) >= 20 * 2 + 3 * 4
    assert min(costs_s) < 0.003  # CPU time; 0.1 ms on two cores: the limit is for machines with hundreds
