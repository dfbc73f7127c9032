import pytest

from tensordyno.errors import StoreError
from tensordyno.records.machine import MachineFacts, RunHeader
from tensordyno.records.reading import Channel, Reading, SamplerFacts
from tensordyno.records.trial import Plan
from tensordyno.run import watch as module
from tensordyno.run.watch import Watch
from tensordyno.spec.schema import TelemetrySettings
from tensordyno.store.reader import read_run
from tensordyno.store.writer import RunWriter
from tensordyno.telemetry.base import Source


class Constant(Source):
    name = "constant"

    def open(self):
        return (Channel(source="constant", name="power", unit="W"),)

    def read(self):
        return (42.0,)


@pytest.fixture
def writer(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.create(Plan(trials=()), "")
        facts = MachineFacts(hostname="h", os="o", kernel="k", cpu="c", cores=1)
        header = {"run": "r", "started": "", "clock_start_s": 0.0, "command": "", "version": ""}
        writer.append(RunHeader(**header, machine=facts))
        yield writer


@pytest.fixture
def constant(monkeypatch):
    monkeypatch.setattr(module, "open_sources", lambda names: [Constant()])


def test_readings_and_the_samplers_account_are_stored(writer, constant):
    with Watch(TelemetrySettings(interval_s=0.001), writer) as watch:
        assert watch.active and watch.interval_s == 0.001
        watch.pause()
        watch.resume()
        readings = writer.folder.reading_file("constant")
        while not readings.exists() or readings.read_bytes().count(b"42.0") < 3:
            pass
    run = read_run(writer.folder.root)
    assert set(run.series[0].values) == {42.0}
    assert run.sampler is not None and run.sampler.samples == len(run.series[0].values)


def test_no_sources_no_sampler_no_account(writer):
    with Watch(TelemetrySettings(sources=()), writer) as watch:
        watch.follow({1: "a"})
        watch.pause()
        watch.resume()
        assert not watch.active
    assert read_run(writer.folder.root).sampler is None
    assert list(writer.folder.readings.iterdir()) == []


def test_readings_that_find_no_room_are_counted_and_said(writer, constant, monkeypatch):
    store = RunWriter.append_reading
    refused = []

    def full(writer, source, record):
        if isinstance(record, Reading) and len(refused) < 2:
            refused.append(record)
            raise StoreError("disk-full", "The disk is full.")
        store(writer, source, record)

    monkeypatch.setattr(RunWriter, "append_reading", full)
    with Watch(TelemetrySettings(interval_s=0.001), writer):
        while len(refused) < 2 or not writer.folder.reading_file("constant").read_bytes().count(b"42.0"):
            pass
    (lost,) = read_run(writer.folder.root).unavailable
    assert (lost.source, lost.reason) == ("constant", "2 readings found no room on the disk")


def test_the_accounts_of_several_sessions_are_one(writer):
    for samples, late, worst in ((10, 1, 0.5), (30, 2, 0.2)):
        facts = {"interval_s": 0.1, "mean_cost_s": samples / 1000}
        writer.append(SamplerFacts(samples=samples, late=late, worst_lateness_s=worst, **facts))
    sampler = read_run(writer.folder.root).sampler
    assert sampler is not None
    assert (sampler.samples, sampler.late, sampler.worst_lateness_s) == (40, 3, 0.5)
    assert sampler.mean_cost_s == pytest.approx((10 * 0.01 + 30 * 0.03) / 40)
