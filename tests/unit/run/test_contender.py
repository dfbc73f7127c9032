import numpy as np
import pytest
from fake_worker import BUILT, READY, FakeWorker, burst, contender, trial, warmup
from msgspec.structs import replace

from tensordyno.errors import WorkerFailure
from tensordyno.records.calibration import CalibrationFacts
from tensordyno.records.messages import BuildOrder, BurstOrder, FailureReport, ProgressReport, StartOrder
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.contender import Materials, table_of
from tensordyno.run.failure import Failure
from tensordyno.run.spawn import WorkerDied, WorkerHung
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Precision, Task, Verdict, WeightsKind

VALID = Failure(Verdict.VALID, "", "")
CALIBRATION = CalibrationFacts(
    data="fashion",
    data_hash="d",
    images=1250,
    batch_size=25,
    seed=0,
    method="entropy",
    asked_method="auto",
    int8_layers=4,
)
ANSWERS = np.array([[1, 1, 0], [0, 1, 1]], dtype="<i4")
TRAINED = replace(BUILT, model=replace(BUILT.model, weights=WeightsKind.PACKAGED), answers=ANSWERS.tobytes())


def made(*answers, patience=(100, 10), **measurement):
    return contender(trial(**measurement), FakeWorker(*answers), *patience)


def failure_of(call):
    with pytest.raises(TrialFailed) as failed:
        call()
    return failed.value.failure


def test_a_trial_from_build_to_outcome():
    racing = made(READY, BUILT, burst(warmup=warmup(1.5)), burst(2.0, contended=True), burst(3.0))
    racing.build(Materials("folder"))
    for rate in (None, 90.0, 95.0):
        racing.measure(rate)
    start, build, *bursts = racing.worker.orders
    assert start == StartOrder(trial=racing.trial, folder="folder", cache=str(cache_root()))
    assert build == BuildOrder(trial=racing.trial, folder="folder")
    assert bursts == [BurstOrder(spin_rate=rate) for rate in (None, 90.0, 95.0)]
    assert (racing.kept_bursts, racing.lost_bursts) == (2, 1)
    np.testing.assert_array_equal(racing.latencies_s, [0.1] * 12)
    outcome = racing.outcome(VALID)
    assert outcome.verdict is Verdict.VALID and len(outcome.bursts) == 3
    assert outcome.receipt == READY.receipt and outcome.verification == BUILT.verification
    assert [p.name for p in outcome.phases] == ["load", "warm-up", "measure", "measure", "measure"]


def test_warm_up_and_lost_bursts_use_up_the_trials_time():
    racing = made(burst(warmup=warmup(1.5)), burst(contended=True), burst())
    for _ in range(3):
        racing.measure(None)
    assert racing.spent_s == pytest.approx(1.5 + 3 * 0.4)


def test_a_rehearsal_is_no_part_of_the_trial_but_its_warm_up_is():
    racing = made(burst(warmup=warmup(2.0)), burst())
    racing.rehearse(50.0)
    assert racing.worker.orders[1:] == [BurstOrder(spin_rate=50.0, rehearsal=True)]
    assert racing.spent_s == 2.0 and len(racing.latencies_s) == 0
    racing.measure(None)
    outcome = racing.outcome(VALID)
    assert outcome.warmup is not None and len(outcome.bursts) == 1


def test_patience_covers_a_warm_up_that_does_not_settle():
    racing = made(burst(warmup=warmup(1.0)), burst(), max_seconds=400, burst_seconds=2)
    racing.measure(None)
    racing.measure(None)
    assert racing.worker.patience == [10 + 2 + 200, 10 + 2]


def test_one_limit_for_the_whole_build():
    racing = made(READY, BUILT, patience=(100, 10))
    racing.build(Materials("folder"))
    first, second = racing.worker.patience
    assert first == 100 and 0 <= second < 100


@pytest.mark.parametrize(
    ("answers", "key"), [([WorkerHung("Slow.", "R", "")], "build_seconds"), ([READY], "burst_grace_seconds")]
)
def test_the_remedy_names_the_limit_that_was_too_short(answers, key):
    racing = made(*answers, BUILT, burst())
    if key == "build_seconds":
        assert failure_of(lambda: racing.build(Materials("f"))).verdict is Verdict.TIMED_OUT
    else:
        racing.build(Materials("f"))
        racing.measure(None)
    assert f"limits.{key}" in racing.worker.remedies[-1]


def test_wrong_answers_end_the_trial_before_it_is_measured():
    wrong = replace(BUILT, verification=replace(BUILT.verification, passed=False, reason="SQNR 3 dB."))
    racing = made(READY, wrong)
    failure = failure_of(lambda: racing.build(Materials("folder")))
    assert failure == Failure(Verdict.INVALID, "SQNR 3 dB.", "verification-failed")
    assert racing.outcome(failure).verification.reason == "SQNR 3 dB."


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (WorkerDied("It died.", -11, "ouch"), Verdict.CRASHED, "It died. It said: ouch"),
        (WorkerHung("It hung.", "Wait longer.", ""), Verdict.TIMED_OUT, "It hung. Wait longer."),
        (WorkerFailure("broken-conversation", "Nonsense."), Verdict.CRASHED, "Nonsense."),
        (FailureReport(error="MemoryError", slug="o", sentence="Full."), Verdict.OUT_OF_MEMORY, "Full."),
        (READY, Verdict.CRASHED, "The worker answered 'ReadyReport' where 'BurstReport' was due."),
    ],
)
def test_whatever_a_worker_answers_instead_of_a_burst(answer, verdict, reason):
    racing = made(READY, BUILT, burst(), answer)
    racing.build(Materials("folder"))
    racing.measure(None)
    failure = failure_of(lambda: racing.measure(None))
    assert (failure.verdict, failure.reason) == (verdict, reason)
    outcome = racing.outcome(failure)
    assert len(outcome.bursts) == 1 and outcome.built is not None  # what was known is kept


def test_an_int8_trial_is_built_from_its_quantized_files_and_keeps_the_calibration():
    racing = made(READY, WorkerDied("Dead.", -11, ""))
    racing.trial = replace(racing.trial, precision=Precision.INT8)
    failure = failure_of(lambda: racing.build(Materials("folder", "quantized", CALIBRATION)))
    assert racing.worker.orders[1:] == [
        BuildOrder(trial=racing.trial, folder="folder", quantized="quantized"),
    ]
    assert (
        racing.outcome(failure).calibration == CALIBRATION
    )  # a build that fails was calibrated all the same


def test_the_calibration_that_a_worker_tells_counts_where_the_parent_knows_none():
    racing = made(READY, replace(BUILT, calibration=CALIBRATION))
    racing.build(Materials("folder"))
    assert racing.outcome(VALID).calibration == CALIBRATION


def test_answers_come_out_as_they_went_in():
    racing = made(READY, TRAINED)
    assert racing.answers.shape == (0, 3)
    racing.build(Materials("folder"))
    np.testing.assert_array_equal(racing.answers, ANSWERS)
    assert racing.answers.dtype == np.int32


@pytest.mark.parametrize("broken", [b"\0" * 8, b"\0" * 13])
def test_answers_that_are_no_table(broken):
    failure = failure_of(lambda: table_of(broken))
    assert (failure.verdict, failure.slug) == (Verdict.CRASHED, "broken-conversation")


def test_signs_of_progress_are_passed_on_and_renew_the_patience():
    steps = [ProgressReport(doing="counting", done=n, total=2) for n in (1, 2)]
    racing = made(READY, *steps, BUILT)
    heard = []
    racing.build(Materials("folder"), heard.append)
    assert heard == steps and len(racing.worker.patience) == 4
    assert racing.outcome(VALID).built == BUILT.built


@pytest.mark.parametrize(
    ("built", "slug", "remedy"),
    [(BUILT, "random-weights", "--weights"), (replace(TRAINED, answers=b""), "no-labels", "--data")],
)
def test_right_answers_need_labels_and_weights(built, slug, remedy):
    racing = made(READY, built)
    racing.trial = replace(racing.trial, task=Task.ACCURACY)
    failure = failure_of(lambda: racing.build(Materials("folder")))
    assert (failure.verdict, failure.slug) == (Verdict.INVALID, slug) and remedy in failure.reason
    assert racing.outcome(failure).verification == BUILT.verification


def test_a_trial_that_is_timed_needs_no_labels():
    racing = made(READY, BUILT)
    racing.build(Materials("folder"))
    assert len(racing.answers) == 0 and racing.outcome(VALID).accuracy is None
