"""Writing a run folder and reading it back, with the accidents that happen in between."""

import errno
import os

import numpy as np
import pytest

from tensordyno.errors import StoreError
from tensordyno.records.machine import MachineFacts, RunFooter, RunHeader
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import Channel, ChannelSet, Reading, Unavailable
from tensordyno.records.trial import EngineChoice, Plan, Trial
from tensordyno.store.reader import read_run
from tensordyno.store.writer import RunWriter, explained
from tensordyno.vocabulary import Precision, Verdict


def trial(name):
    return Trial(id=name, model="m", engine=EngineChoice(name="null"), precision=Precision.FP32, batch_size=1)


HEADER = RunHeader(
    run="r",
    started="2026-01-01T00:00:00+00:00",
    clock_start_s=1.0,
    command="dyno run",
    version="0",
    machine=MachineFacts(hostname="h", os="o", kernel="k", cpu="c", cores=1),
)
PLAN = Plan(trials=(trial("a"), trial("b")))


@pytest.fixture
def writer(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.create(PLAN, "name: x\n")
        writer.append(HEADER)
        yield writer


def outcome(name, verdict=Verdict.VALID, **fields):
    return Outcome(trial=trial(name), verdict=verdict, **fields)


def test_a_run_reads_back_in_plan_order(writer):
    writer.append(outcome("b"))
    writer.append(outcome("a", reason="first"))
    writer.save_latencies("a", np.array([0.1, 0.2]))
    writer.append(RunFooter(finished="later"))
    run = read_run(writer.folder.root)
    assert [o.trial.id for o in run.outcomes] == ["a", "b"]
    assert run.header == HEADER and run.footer is not None and not run.truncated
    np.testing.assert_array_equal(run.latencies_s("a"), [0.1, 0.2])
    assert len(run.latencies_s("b")) == 0


def test_a_later_attempt_replaces_an_earlier_one(writer):
    writer.append(outcome("a", Verdict.INTERRUPTED))
    writer.append(outcome("a", Verdict.VALID))
    assert [o.verdict for o in read_run(writer.folder.root).outcomes] == [Verdict.VALID]


def test_a_line_cut_by_a_crash_costs_that_line_only(writer):
    writer.append(outcome("a"))
    records = writer.folder.records
    whole = records.read_bytes()
    records.write_bytes(whole + b'{"schema":1,"kind":"outc')
    run = read_run(writer.folder.root)
    assert run.truncated and [o.trial.id for o in run.outcomes] == ["a"]
    writer.close()
    with RunWriter(writer.folder.root) as again:
        again.reopen()
        assert records.read_bytes() == whole
        again.append(outcome("b"))
    assert [o.trial.id for o in read_run(writer.folder.root).outcomes] == ["a", "b"]


def test_a_folder_that_holds_a_run_is_not_overwritten(writer):
    writer.close()
    with pytest.raises(StoreError) as caught:
        RunWriter(writer.folder.root).create(PLAN, "")
    assert caught.value.slug == "run-exists" and "--resume" in caught.value.remedy


def test_a_run_in_use_is_not_opened_twice(writer):
    with pytest.raises(StoreError) as caught:
        RunWriter(writer.folder.root).reopen()
    assert caught.value.slug == "run-in-use"


def test_readings_come_back_as_series_with_gaps(writer):
    power = Channel(source="nvml", name="power", unit="W", device="gpu0")
    clock = Channel(source="nvml", name="clock", unit="Hz", device="gpu0")
    writer.append_reading("nvml", ChannelSet(source="nvml", channels=(power,)))
    writer.append_reading("nvml", Reading(t_s=1.0, values=(100.0,)))
    writer.append_reading("nvml", ChannelSet(source="nvml", channels=(power, clock)))
    writer.append_reading("nvml", Reading(t_s=2.0, values=(None, 5.0)))
    writer.append_reading("rapl", Unavailable(source="rapl", reason="no powercap"))
    writer.flush_readings()
    run = read_run(writer.folder.root)
    series = {s.channel.name: s for s in run.series}
    np.testing.assert_array_equal(series["power"].times_s, [1.0, 2.0])
    np.testing.assert_array_equal(series["power"].values, [100.0, np.nan])
    np.testing.assert_array_equal(series["clock"].values, [5.0])
    assert run.unavailable == (Unavailable(source="rapl", reason="no powercap"),)


def test_no_run_here(tmp_path):
    with pytest.raises(StoreError) as caught:
        read_run(tmp_path)
    assert caught.value.slug == "no-run"


def test_broken_samples_are_named(writer):
    writer.append(outcome("a"))
    writer.folder.sample_file("a").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(StoreError, match=r"a\.npy"):
        read_run(writer.folder.root).latencies_s("a")


@pytest.mark.parametrize(
    ("code", "slug"),
    [(errno.ENOSPC, "disk-full"), (errno.EACCES, "no-permission"), (errno.EIO, "cannot-write")],
)
def test_system_errors_become_one_line_with_a_remedy(tmp_path, code, slug):
    error = explained(OSError(code, os.strerror(code)), tmp_path)
    assert error.slug == slug and str(tmp_path) in error.sentence


def test_a_line_that_does_not_fit_leaves_whole_lines_behind(writer, monkeypatch):
    writer.append(outcome("a"))
    before = writer.folder.records.read_bytes()

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError) as caught:
        writer.append(outcome("b"))
    assert caught.value.slug == "disk-full"
    monkeypatch.undo()
    assert writer.folder.records.read_bytes().startswith(before)
    assert not read_run(writer.folder.root).truncated


def test_an_interruption_takes_no_result_away(writer):
    """Ctrl-C between the last record of a trial and the end of its worker."""
    writer.append(outcome("a", Verdict.VALID))
    writer.append(outcome("a", Verdict.INTERRUPTED))
    assert [o.verdict for o in read_run(writer.folder.root).outcomes] == [Verdict.VALID]


def test_a_run_that_never_began_does_not_block_its_folder(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    (root / "records.jsonl").write_bytes(b'{"schema":1,"ki')
    with pytest.raises(StoreError, match="no header"):
        read_run(root)
    with RunWriter(root) as writer:
        writer.create(PLAN, "")
        writer.append(HEADER)
    assert read_run(root).header == HEADER


def test_a_session_that_is_refused_leaves_the_other_ones_ballast_and_plan(writer):
    root = writer.folder.root
    plan = writer.folder.plan.read_bytes()
    with pytest.raises(StoreError) as caught, RunWriter(root) as second:
        second.create(Plan(trials=()), "other: spec\n")
    assert caught.value.slug == "run-in-use"
    assert (root / ".ballast").exists() and writer.folder.plan.read_bytes() == plan


def test_half_a_file_is_not_left_on_a_full_disk(writer, monkeypatch):
    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(writer.folder.root), "write_bytes", full)
    with pytest.raises(StoreError) as caught:
        writer.save_latencies("a", np.zeros(1000))
    assert caught.value.slug == "disk-full" and list(writer.folder.samples.iterdir()) == []


def test_records_that_cannot_be_read(tmp_path):
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(StoreError) as caught:
        read_run(tmp_path)
    assert caught.value.slug == "cannot-read"
    with pytest.raises(StoreError, match="holds no run"):
        read_run(tmp_path / "nowhere")


def test_answers_come_back_as_they_were_stored(writer):
    answers = np.array([[3, 3, 0], [1, 2, 7]], dtype=np.int32)
    writer.append(outcome("a"))
    writer.save_answers("a", answers)
    run = read_run(writer.folder.root)
    np.testing.assert_array_equal(run.answers("a"), answers)
    assert run.answers("a").dtype == np.int32
    assert run.answers("b").shape == (0, 3)
    assert [path.name for path in writer.folder.answers.iterdir()] == ["a.npy"]


def archive(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros((2, 3), dtype=np.int32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\x93NUMPY broken"),
        lambda path: path.write_bytes(b""),
        lambda path: np.save(path, np.zeros((2, 3))),
        lambda path: np.save(path, np.zeros((2, 4), dtype=np.int32)),
        lambda path: np.save(path, np.zeros(3, dtype=np.int32)),
        lambda path: np.save(path, np.full((2, 3), -1, dtype=np.int32)),
        archive,
    ],
)
def test_broken_answers_are_named(writer, spoil):
    spoil(writer.folder.answer_file("a"))
    with pytest.raises(StoreError, match=r"a\.npy") as caught:
        read_run(writer.folder.root).answers("a")
    assert caught.value.slug == "broken-answers" and "Restore answers/" in caught.value.remedy


def test_a_run_of_an_earlier_version_has_no_answers_and_gains_the_folder(writer):
    writer.folder.answers.rmdir()
    writer.close()
    assert len(read_run(writer.folder.root).answers("a")) == 0
    with RunWriter(writer.folder.root) as again:
        again.reopen()
        again.save_answers("a", np.zeros((1, 3), dtype=np.int32))
    assert len(read_run(writer.folder.root).answers("a")) == 1
