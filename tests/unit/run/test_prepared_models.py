import threading
import time

import msgspec
import numpy as np
import pytest
from fake_worker import BUILT, FakeWorker
from msgspec.structs import replace

from tensordyno.errors import StoreError
from tensordyno.records.messages import FailureReport, PreparedReport, PrepareOrder
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.outcome import Phase
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run import prepared_models as module
from tensordyno.run.prepared_models import PreparedModels
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Precision, Verdict

PREPARED = PreparedReport(model=BUILT.model, phase=Phase(name="prepare", start_s=0, stop_s=1))


def trial(**fields):
    whole = {"id": "t", "model": "resnet18", "engine": EngineChoice(name="null"), "batch_size": 1}
    return Trial(**(whole | {"precision": Precision.FP32} | fields))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Preparing(FakeWorker):
    """Makes the folder that it is asked for, or gives another answer."""

    made = 0

    def __init__(self, answer=PREPARED, delay_s=0.0):
        super().__init__(answer)
        self.delay_s = delay_s

    def await_report(self, timeout_s, remedy=""):
        time.sleep(self.delay_s)
        report = super().await_report(timeout_s, remedy)
        (order,) = self.orders
        assert isinstance(order, PrepareOrder)
        folder = module.Path(order.folder)
        if report is PREPARED:
            Preparing.made += 1
            folder.mkdir()
            (folder / "model.onnx").touch()
            np.savez(folder / "reference.npz", images=np.zeros(1))
            (folder / "facts.json").write_bytes(msgspec.json.encode(BUILT.model))
        else:
            folder.with_name(f".{folder.name}-half").mkdir()
        return report


@pytest.fixture
def workers(monkeypatch):
    """Every worker that is started; set `next` to say how it answers."""
    started = []

    def start(log, python, threads, allocator):
        started.append(start.next() if start.next else Preparing())
        return started[-1]

    start.next = None
    start.started = started
    Preparing.made = 0
    monkeypatch.setattr(module, "Worker", start)
    return start


def test_a_network_is_prepared_once_and_found_again(cache, tmp_path, workers):
    models = PreparedModels(tmp_path, 10)
    folder = models.folder_for(trial())
    assert folder.startswith(str(cache / "models" / "resnet18-"))
    assert models.folder_for(trial(batch_size=8, precision=Precision.BF16)) == folder
    assert PreparedModels(tmp_path, 10).folder_for(trial()) == folder
    assert len(workers.started) == 1 and workers.started[0].ended == "killed"


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"model": "resnet34"}, {"verify_images": 4}, {"dataset": "fashion"}]
)
def test_whatever_changes_the_network_or_its_reference_prepares_anew(cache, tmp_path, workers, change):
    models = PreparedModels(tmp_path, 10)
    assert models.folder_for(trial(**change)) != models.folder_for(trial())


def test_skipping_makes_images_beyond_the_first_matter(cache, tmp_path, workers):
    """An unreadable one among the first brings in a later one, whose content must then be in the name."""
    images = np.zeros((4, 28, 28), np.uint8)
    folders = []
    for last in (0, 1):
        images[3] = last
        np.savez(tmp_path / "data.npz", images=images)
        data = {"dataset": str(tmp_path / "data.npz"), "verify_images": 2}
        models = PreparedModels(tmp_path, 10)
        folders.append([models.folder_for(trial(**data, skip_unreadable=skip)) for skip in (False, True)])
    (plain, skipping), (plain_again, skipping_again) = folders
    assert plain == plain_again and skipping != skipping_again


def test_a_folder_that_is_not_whole_is_made_again(cache, tmp_path, workers):
    models = PreparedModels(tmp_path, 10)
    folder = module.Path(models.folder_for(trial()))
    (folder / "facts.json").write_text("{")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert models.folder_for(trial()) == str(folder) and Preparing.made == 2


def test_a_failure_is_remembered_and_leaves_nothing_behind(cache, tmp_path, workers):
    refused = FailureReport(error="DataError", slug="wrong-checkpoint", sentence="No.", remedy="Do.")
    workers.next = lambda: Preparing(refused)
    models = PreparedModels(tmp_path, 10)
    for _ in range(2):
        with pytest.raises(TrialFailed) as failed:
            models.folder_for(trial())
        assert failed.value.failure[:3] == (Verdict.INVALID, "No. Do.", "wrong-checkpoint")
    assert len(workers.started) == 1
    assert [p.name for p in (cache / "models").iterdir() if not p.name.endswith(".lock")] == []


def test_a_worker_that_dies_is_the_trials_failure(cache, tmp_path, workers):
    workers.next = lambda: Preparing(WorkerDied("Dead.", -9, ""))
    with pytest.raises(TrialFailed) as failed:
        PreparedModels(tmp_path, 10).folder_for(trial())
    assert failed.value.failure.verdict in (Verdict.CRASHED, Verdict.OUT_OF_MEMORY)


def test_a_full_disk_is_the_end_of_the_run_and_not_of_one_trial(cache, tmp_path, workers):
    full = FailureReport(error="StoreError", slug="cannot-prepare", sentence="Full.", remedy="Free some.")
    workers.next = lambda: Preparing(full)
    with pytest.raises(StoreError) as stopped:
        PreparedModels(tmp_path, 10).folder_for(trial())
    assert stopped.value.line() == "Full. Free some. [cannot-prepare]"


def test_a_cache_that_cannot_be_made(cache, tmp_path, workers):
    cache.write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        PreparedModels(tmp_path, 10).folder_for(trial())


@pytest.mark.parametrize(
    ("change", "verdict", "slug"),
    [
        ({"model": "resnet19"}, Verdict.UNSUPPORTED, "unknown-model"),
        ({"dataset": "/no/such.npz"}, Verdict.INVALID, "missing-data"),
        ({"weights": "/no/such.pt"}, Verdict.INVALID, "missing-checkpoint"),
    ],
)
def test_what_is_missing_already_here(cache, tmp_path, workers, change, verdict, slug):
    with pytest.raises(TrialFailed) as failed:
        PreparedModels(tmp_path, 10).folder_for(trial(**change))
    failure = failed.value.failure
    assert (failure.verdict, failure.slug) == (verdict, slug) and slug not in failure.reason
    assert not workers.started


def test_two_sessions_that_want_the_same_network_prepare_it_once(cache, tmp_path, workers):
    workers.next = lambda: Preparing(delay_s=0.05)
    found = []

    def session():
        found.append(PreparedModels(tmp_path, 10).folder_for(replace(trial(), seed=9)))

    threads = [threading.Thread(target=session) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1 and Preparing.made == 1


def test_other_preprocessing_and_other_images_are_another_network(cache, tmp_path, workers):
    np.savez(tmp_path / "a.npz", x=np.arange(10 * 16, dtype=np.uint8).reshape(10, 4, 4))
    models, data = PreparedModels(tmp_path, 10), {"dataset": str(tmp_path / "a.npz")}
    asked = [
        {},
        {"hold_out": True},
        {"preprocessing": PreprocessingChange(channels="grey")},
        {"preprocessing": PreprocessingChange(resize=None)},
    ]
    assert len({models.folder_for(trial(**data, **fields)) for fields in asked}) == 4


def cores(monkeypatch, count):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(count)))


def test_networks_are_prepared_side_by_side_where_there_are_cores(cache, tmp_path, workers, monkeypatch):
    cores(monkeypatch, 8)
    models = PreparedModels(tmp_path, 60)
    asked = [trial(model=name) for name in ("resnet18", "resnet34", "resnet18", "alexnet")]
    models.prepare_ahead(asked)
    assert len(workers.started) == Preparing.made == 3
    assert {worker.ended for worker in workers.started} == {"killed"}
    for each in asked:
        assert models.folder_for(each)
    assert len(workers.started) == 3  # all found ready


def test_a_small_machine_prepares_each_network_in_its_turn(cache, tmp_path, workers, monkeypatch):
    cores(monkeypatch, 2)
    PreparedModels(tmp_path, 60).prepare_ahead([trial(), trial(model="alexnet")])
    assert workers.started == []


def test_what_could_not_be_prepared_ahead_is_told_to_its_trial(cache, tmp_path, workers, monkeypatch):
    cores(monkeypatch, 8)
    answers = iter([WorkerDied("Dead.", -11, ""), PREPARED])
    workers.next = lambda: Preparing(next(answers))
    models = PreparedModels(tmp_path, 60)
    asked = [trial(), trial(model="alexnet")]
    models.prepare_ahead(asked)
    failed = 0
    for each in asked:
        try:
            assert models.folder_for(each)
        except TrialFailed as wrong:
            failed += 1
            assert "Dead" in wrong.failure.reason
    assert failed == 1 and len(workers.started) == 2


def test_a_full_disk_ends_the_preparations_under_way(cache, tmp_path, workers, monkeypatch):
    cores(monkeypatch, 4)
    full = FailureReport(error="StoreError", slug="disk-full", sentence="The disk is full.")
    workers.next = lambda: Preparing(full)
    models = PreparedModels(tmp_path, 60)
    with pytest.raises(StoreError, match="disk is full"):
        models.prepare_ahead([trial(), trial(model="alexnet"), trial(model="vgg11")])
    assert {worker.ended for worker in workers.started} == {"killed"}
