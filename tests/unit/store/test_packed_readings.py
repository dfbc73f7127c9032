"""Telemetry of a stored run may be gzipped: it is read, played back and gone on with all the same."""

import gzip

import pytest

from tensordyno.clock import FakeClock
from tensordyno.errors import StoreError
from tensordyno.records.reading import Channel, ChannelSet, Reading, Unavailable
from tensordyno.records.trial import Plan
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder
from tensordyno.store.reader import read_series
from tensordyno.store.writer import RunWriter
from tensordyno.telemetry.replay import ReplaySource

POWER = Channel(source="nvml", name="power", unit="W", device="gpu0")
LINES = [
    ChannelSet(source="nvml", channels=(POWER,)),
    *(Reading(t_s=float(t), values=(70.0 + t,)) for t in range(5)),
    Unavailable(source="nvml", reason="gone"),
]


@pytest.fixture
def packed(tmp_path):
    folder = RunFolder(tmp_path)
    folder.readings.mkdir()
    path = folder.readings / "nvml.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(map(encode_line, LINES))))
    return folder, path


def test_a_gzipped_file_reads_like_any_other(packed):
    folder, path = packed
    assert folder.reading_files() == [path]
    (series,) = read_series(path)
    assert series.channel == POWER and series.values.tolist() == [70, 71, 72, 73, 74]
    source = ReplaySource(path, FakeClock())
    assert source.open() == (POWER,) and source.read() == [70.0]


def test_files_are_in_alphabetical_order_whatever_their_form(packed):
    folder, _ = packed
    for name in ("cpu.jsonl", "rapl.jsonl"):
        (folder.readings / name).write_bytes(b"")
    assert [p.name for p in folder.reading_files()] == ["cpu.jsonl", "nvml.jsonl.gz", "rapl.jsonl"]


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-9], lambda b: b"none" + b, lambda b: b[:20] + b"???" + b[23:]]
)
def test_a_broken_archive_is_one_clear_line(packed, spoil):
    _, path = packed
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StoreError, match="cannot be unpacked") as wrong:
        list(read_series(path))
    assert wrong.value.slug == "broken-record"


def test_a_run_that_goes_on_unpacks_its_readings(packed, tmp_path):
    folder, path = packed
    with RunWriter(tmp_path) as writer:
        writer.create(Plan(trials=()), "")
    with RunWriter(tmp_path) as writer:
        writer.reopen()
        writer.append_reading("nvml", Reading(t_s=9.0, values=(99.0,)))
    assert not path.exists()
    (series,) = read_series(folder.reading_file("nvml"))
    assert series.values.tolist() == [70, 71, 72, 73, 74, 99]
