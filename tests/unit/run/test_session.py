"""The session's order of business, with workers that are no processes and a folder that is one."""

import numpy as np
import pytest
from fake_worker import BUILT, READY, FakeWorker, burst, trial
from msgspec.structs import replace

from tensordyno.errors import StoreError
from tensordyno.records.calibration import Calibration, CalibrationFacts
from tensordyno.records.machine import MachineFacts, RunHeader
from tensordyno.records.messages import FailureReport, ProgressReport, ReleasedReport
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import Overhead
from tensordyno.records.trial import Plan
from tensordyno.run import session as session_module
from tensordyno.run.failure import Failure
from tensordyno.run.progress import Progress
from tensordyno.run.session import Session, gpus_of
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import TrialFailed
from tensordyno.spec.schema import Spec, TelemetrySettings
from tensordyno.store.reader import read_run
from tensordyno.store.writer import RunWriter
from tensordyno.vocabulary import Precision, Task, Verdict, WeightsKind

HEADER = RunHeader(
    run="r",
    started="2026-01-01T00:00:00+00:00",
    clock_start_s=0.0,
    command="dyno run",
    version="0",
    machine=MachineFacts(hostname="h", os="o", kernel="k", cpu="c", cores=1),
)
DONE = (READY, BUILT, burst(), burst(done=True))
ANSWERS = np.array([[1, 1, 0], [0, 1, 1]], dtype="<i4")
COUNTED = replace(BUILT, model=replace(BUILT.model, weights=WeightsKind.PACKAGED), answers=ANSWERS.tobytes())
CALIBRATION = CalibrationFacts(
    data="fashion",
    data_hash="d",
    images=1250,
    batch_size=25,
    seed=0,
    method="entropy",
    asked_method="entropy",
    int8_layers=4,
)
OVERHEAD = Overhead(ratio=1.0, low=0.99, high=1.01, rounds=10, interval_s=0.1)


class NoWatch:
    """Telemetry that is on or off."""

    interval_s = 0.1

    def __init__(self, *, active=False):
        self.active = active
        self.followed = []

    def follow(self, processes):
        self.followed.append(dict(processes))


@pytest.fixture
def folder(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        yield writer


@pytest.fixture
def run(folder, monkeypatch):
    """Run trials whose workers give these answers; returns the workers by trial."""

    def start(
        answers,
        *,
        done=(),
        attempts=None,
        active=False,
        overhead=True,
        unprepared=None,
        alter=None,
        progress=None,
        **spec,
    ):
        def folder_for(self, trial):
            if trial.id in (unprepared or {}):
                raise unprepared[trial.id]
            return "prepared"

        trials = tuple(replace(trial(name), **(alter or {}).get(name, {})) for name in answers)
        workers = {name: FakeWorker(*told) for name, told in answers.items()}
        monkeypatch.setattr(session_module, "Worker", lambda log, *_: workers[log.stem])
        monkeypatch.setattr(session_module.PreparedModels, "folder_for", folder_for)
        plan = Plan(trials=trials)
        if not folder.folder.records.exists():
            folder.create(plan, "")
            folder.append(HEADER)
        telemetry = TelemetrySettings(overhead=overhead)
        watch = NoWatch(active=active)
        session = Session(Spec(telemetry=telemetry, **spec), folder, watch, progress or Progress())
        try:
            over = [Outcome(trial=trial(name), verdict=Verdict.VALID) for name in done]
            session.run(plan, over, attempts or {})
        finally:
            start.workers = workers
        return workers

    return start


def outcomes(folder):
    return {o.trial.id: o for o in read_run(folder.folder.root).outcomes}


def test_a_group_is_built_first_and_measured_in_turns(run, folder):
    workers = run({"a": DONE, "b": DONE})
    assert {o.verdict for o in outcomes(folder).values()} == {Verdict.VALID}
    assert {w.ended for w in workers.values()} == {"finished"}
    kinds = [type(order).__name__ for order in workers["a"].orders]
    assert kinds == ["StartOrder", "BuildOrder", "BurstOrder", "BurstOrder"]
    assert len(read_run(folder.folder.root).latencies_s("a")) == 8


def test_what_is_done_is_not_run_again(run, folder):
    workers = run({"a": DONE, "b": DONE}, done={"a"})
    assert workers["a"].orders == [] and list(outcomes(folder)) == ["b"]


def test_without_interleaving_each_trial_ends_before_the_next_begins(run):
    order = []
    tell = {n: [lambda n=n, r=r: order.append(n) or r for r in DONE] for n in ("a", "b")}
    run(tell, interleave=False)
    assert order == ["a"] * 4 + ["b"] * 4


def test_attempts_are_counted_across_sessions(run, folder):
    run({"a": DONE, "b": DONE}, attempts={"a": 1})
    assert {name: o.attempt for name, o in outcomes(folder).items()} == {"a": 2, "b": 1}


def test_a_network_that_cannot_be_prepared_ends_its_trials_and_no_other(run, folder):
    missing = TrialFailed(Failure(Verdict.INVALID, "No such file.", "missing-onnx"))
    run({"a": DONE, "b": DONE}, unprepared={"a": missing})
    found = outcomes(folder)
    assert (found["a"].verdict, found["a"].reason) == (Verdict.INVALID, "No such file.")
    assert found["b"].verdict is Verdict.VALID


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoreError("disk-full", "The disk is full.")])
def test_a_stop_records_what_was_in_progress_and_ends_every_worker(run, folder, stop):
    over = (READY, BUILT, burst(done=True))
    with pytest.raises(type(stop)):
        run({"a": over, "b": (READY, BUILT, burst(), burst(), stop), "c": (READY, BUILT, *[burst()] * 9)})
    found = outcomes(folder)
    assert found["a"].verdict is Verdict.VALID
    assert found["b"].verdict is found["c"].verdict is Verdict.INTERRUPTED
    assert found["b"].slug == getattr(stop, "slug", "interrupted")
    assert {run.workers[name].ended for name in ("b", "c")} == {"killed"}


def test_an_outcome_that_finds_no_room_belongs_to_what_was_in_progress(run, folder, monkeypatch):
    def full(writer, trial_id, latencies_s):
        raise StoreError("disk-full", "The disk is full.")

    monkeypatch.setattr(RunWriter, "save_latencies", full)
    with pytest.raises(StoreError):
        run({"a": DONE})
    assert outcomes(folder)["a"].verdict is Verdict.INTERRUPTED
    assert run.workers["a"].ended == "killed"


def test_the_overhead_is_measured_once_on_the_first_build_that_stands(run, folder, monkeypatch):
    asked = []

    def measure(contender, watch, reference):
        asked.append(contender.trial.id)
        if contender.trial.id == "a":
            raise TrialFailed(Failure(Verdict.OUT_OF_MEMORY, "Full.", "out-of-memory"))
        return OVERHEAD

    monkeypatch.setattr(session_module, "measure_overhead", measure)
    run({"a": DONE, "b": DONE, "c": DONE}, active=True, interleave=False)
    assert asked == ["a", "b"]
    assert read_run(folder.folder.root).overhead == OVERHEAD
    found = outcomes(folder)  # a death while the overhead is measured keeps its own reason
    assert (found["a"].verdict, found["a"].reason) == (Verdict.OUT_OF_MEMORY, "Full.")
    assert found["b"].verdict is found["c"].verdict is Verdict.VALID


@pytest.mark.parametrize(("active", "overhead"), [(False, True), (True, False)])
def test_no_overhead_without_telemetry_or_when_it_is_not_wanted(run, monkeypatch, active, overhead):
    monkeypatch.setattr(session_module, "measure_overhead", lambda *a: pytest.fail("measured"))
    run({"a": DONE}, active=active, overhead=overhead)


def test_a_worker_that_dies_while_building_leaves_the_group(run, folder):
    workers = run({"a": (READY, WorkerDied("Dead.", -11, "words")), "b": DONE})
    found = outcomes(folder)
    assert (found["a"].verdict, found["a"].last_words) == (Verdict.CRASHED, "words")
    assert found["a"].receipt == READY.receipt and found["b"].verdict is Verdict.VALID
    assert workers["a"].ended == "finished"


def test_workers_are_watched_by_process_and_trial(folder, monkeypatch):
    workers = {"a": FakeWorker(*DONE), "b": FakeWorker(*DONE)}
    workers["a"].pid, workers["b"].pid = 1, 2
    monkeypatch.setattr(session_module, "Worker", lambda log, *_: workers[log.stem])
    monkeypatch.setattr(session_module.PreparedModels, "folder_for", lambda self, trial: "prepared")
    plan = Plan(trials=(trial("a"), replace(trial("b"), group="other")))
    folder.create(plan, "")
    watch = NoWatch()
    Session(Spec(), folder, watch, Progress()).run(plan, (), {})
    assert watch.followed == [{1: "a"}, {2: "b"}]


def test_right_answers_alone_are_not_timed_and_keep_no_worker_waiting(run, folder, monkeypatch):
    events = []

    monkeypatch.setattr(session_module, "measure_overhead", lambda *a: pytest.fail("measured"))
    monkeypatch.setattr(FakeWorker, "finish", lambda worker: events.append("finished"))
    tell = {name: (lambda n=name: events.append(n) or READY, COUNTED) for name in "abc"}
    workers = run(tell, alter={name: {"task": Task.ACCURACY} for name in tell}, active=True)
    assert events == ["a", "finished", "b", "finished", "c", "finished"]
    assert {len(w.orders) for w in workers.values()} == {2}  # built, and no burst was ordered
    found = outcomes(folder)
    assert {(o.verdict, o.bursts, o.warmup) for o in found.values()} == {(Verdict.VALID, (), None)}
    np.testing.assert_array_equal(read_run(folder.folder.root).answers("b"), ANSWERS)


def test_a_trial_that_is_timed_keeps_its_answers_too(run, folder):
    run({"a": (READY, COUNTED, burst(done=True)), "b": (READY, BUILT, burst(done=True))})
    stored = read_run(folder.folder.root)
    np.testing.assert_array_equal(stored.answers("a"), ANSWERS)
    assert stored.answers("b").shape == (0, 3) and len(stored.latencies_s("a")) == 4


def test_right_answers_without_labels_are_invalid(run, folder):
    unlabelled = replace(COUNTED, answers=b"")
    run({"a": (READY, unlabelled)}, alter={"a": {"task": Task.ACCURACY}})
    found = outcomes(folder)["a"]
    assert (found.verdict, found.slug) == (Verdict.INVALID, "no-labels")


class Steps(Progress):
    """Notes the steps it is told."""

    def __init__(self):
        self.steps = []

    def step(self, trial, doing, done, total):
        self.steps.append((trial.id, doing, done, total))


INT8 = {"precision": Precision.INT8, "calibration": Calibration()}


@pytest.fixture
def quantized(monkeypatch):
    """Calibrations that are no processes: every trial's, with one step of progress."""
    asked = []

    def folder_for(self, trial, prepared, progress):
        asked.append((trial.id, prepared))
        if isinstance(quantized.answer, TrialFailed):
            raise quantized.answer
        progress(ProgressReport(doing="calibrating", done=375, total=1250))
        return quantized.answer

    quantized = type("Quantized", (), {"answer": ("ranges", CALIBRATION), "asked": asked})
    monkeypatch.setattr(session_module.QuantizedModels, "folder_for", folder_for)
    monkeypatch.setattr(session_module, "_has_ranges", lambda folder: False)
    return quantized


def test_int8_is_calibrated_before_any_worker_of_the_group_is_built(run, folder, quantized):
    progress = Steps()
    asked_before = []
    ready = (lambda: asked_before.extend(quantized.asked) or READY, *DONE[1:])
    workers = run({"a": ready, "b": DONE}, alter={"b": INT8}, progress=progress)
    assert asked_before == quantized.asked == [("b", "prepared")]
    assert (workers["a"].orders[1].quantized, workers["b"].orders[1].quantized) == ("", "ranges")
    found = outcomes(folder)
    assert (found["a"].calibration, found["b"].calibration) == (None, CALIBRATION)
    assert progress.steps == [("b", "calibrating", 375, 1250)]


def test_a_network_that_cannot_be_calibrated_ends_its_trials_and_no_other(run, folder, quantized):
    quantized.answer = TrialFailed(Failure(Verdict.INVALID, "They overlap.", "calibration-overlaps"))
    run({"a": DONE, "b": DONE}, alter={"b": INT8})
    found = outcomes(folder)
    assert (found["b"].verdict, found["b"].slug) == (Verdict.INVALID, "calibration-overlaps")
    assert found["a"].verdict is Verdict.VALID


def test_a_network_that_came_with_its_ranges_is_not_calibrated(run, quantized, monkeypatch):
    monkeypatch.setattr(session_module, "_has_ranges", lambda folder: folder == "prepared")
    workers = run({"a": DONE}, alter={"a": INT8})
    assert quantized.asked == [] and workers["a"].orders[1].quantized == ""


def test_a_cache_emptied_in_between_ends_the_trial_with_its_reason(run, folder):
    run({"a": DONE}, alter={"a": INT8})  # "prepared" is no folder
    assert outcomes(folder)["a"].slug == "not-prepared"


ON_GPU = {"device": "cuda:0"}
FULL = FailureReport(error="MemoryError", slug="out-of-memory", sentence="It is full.")


def test_out_of_memory_in_company_is_tried_again_alone(run, folder):
    """`b` has no room beside `a`; the second worker of its name finds the GPU empty."""
    workers = run(
        {"a": DONE, "b": (READY, FULL, READY, BUILT, burst(done=True))},
        alter={"a": ON_GPU, "b": ON_GPU | {"seed": 1}},
        ceilings=False,
    )
    found = outcomes(folder)
    assert {name: o.verdict for name, o in found.items()} == {"a": Verdict.VALID, "b": Verdict.VALID}
    kinds = [type(order).__name__ for order in workers["b"].orders]
    assert kinds == ["StartOrder", "BuildOrder", "StartOrder", "BuildOrder", "BurstOrder"]


def test_who_waits_for_another_batch_size_is_company_too(run, folder):
    """`a` keeps its worker for `c` and leaves when `b` finds no room beside it."""
    workers = run(
        {"a": (*DONE, ReleasedReport()), "b": (READY, FULL, READY, FULL), "c": DONE},
        alter={"a": ON_GPU, "b": ON_GPU | {"seed": 1}, "c": ON_GPU | {"batch_size": 2}},
        interleave=False,
        ceilings=False,
        largest_batch=False,
    )
    assert outcomes(folder)["b"].verdict is Verdict.OUT_OF_MEMORY
    assert [type(order).__name__ for order in workers["b"].orders].count("BuildOrder") == 2
    assert outcomes(folder)["c"].verdict is Verdict.VALID


def test_out_of_memory_alone_is_believed_and_ends_the_sweep(run, folder):
    run(
        {"a": (READY, FULL), "b": DONE},
        alter={"a": ON_GPU | {"batch_size": 8}, "b": ON_GPU | {"batch_size": 16}},
        interleave=False,
        ceilings=False,
        largest_batch=False,
    )
    found = outcomes(folder)
    assert found["a"].verdict is Verdict.OUT_OF_MEMORY
    assert (found["b"].verdict, found["b"].slug) == (Verdict.SKIPPED, "larger-than-memory")
    assert found["b"].reason == "A batch of 8 ran out of memory."


def test_the_next_batch_size_of_a_build_goes_to_the_same_worker(run, folder):
    workers = run(
        {"a": (*DONE, ReleasedReport(), BUILT, burst(done=True)), "b": ()},
        alter={"a": ON_GPU | {"batch_size": 1}, "b": ON_GPU | {"batch_size": 2}},
        interleave=False,
        ceilings=False,
    )
    kinds = [type(order).__name__ for order in workers["a"].orders]
    assert kinds[-3:] == ["ReleaseOrder", "BuildOrder", "BurstOrder"] and workers["b"].orders == []
    assert {o.verdict for o in outcomes(folder).values()} == {Verdict.VALID}


def test_gpus_of_trials_with_their_ranks():
    asked = [trial(), *(replace(trial(), device=d, devices=n) for d, n in (("cuda:0", 2), ("cuda:10", 1)))]
    assert gpus_of(asked) == ("cuda:0", "cuda:1", "cuda:10")
