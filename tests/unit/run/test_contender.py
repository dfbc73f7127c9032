import numpy as np
import pytest
from fake_worker import BUILT, READY, FakeWorker, burst, trial, warmup
from msgspec.structs import replace

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import BuildOrder, BurstOrder, FailureReport
from tensordyno.run.contender import Contender, TrialFailed
from tensordyno.run.failure import Failure
from tensordyno.run.spawn import WorkerDied, WorkerHung
from tensordyno.vocabulary import Verdict

VALID = Failure(Verdict.VALID, "", "")


def contender(*answers, patience=(100, 10), **measurement):
    return Contender(trial(**measurement), FakeWorker(*answers), *patience)


def failure_of(call):
    with pytest.raises(TrialFailed) as failed:
        call()
    return failed.value.failure


def test_a_trial_from_build_to_outcome():
    racing = contender(READY, BUILT, burst(warmup=warmup(1.5)), burst(2.0, contended=True), burst(3.0))
    racing.build("folder")
    for rate in (None, 90.0, 95.0):
        racing.measure(rate)
    build, *bursts = racing.worker.orders
    assert build == BuildOrder(trial=racing.trial, folder="folder")
    assert bursts == [BurstOrder(spin_rate=rate) for rate in (None, 90.0, 95.0)]
    assert (racing.kept_bursts, racing.lost_bursts) == (2, 1)
    np.testing.assert_array_equal(racing.latencies_s, [0.1] * 12)
    outcome = racing.outcome(VALID)
    assert outcome.verdict is Verdict.VALID and len(outcome.bursts) == 3
    assert outcome.receipt == READY.receipt and outcome.verification == BUILT.verification
    assert [p.name for p in outcome.phases] == ["load", "warm-up", "measure", "measure", "measure"]


def test_warm_up_and_lost_bursts_use_up_the_trials_time():
    racing = contender(burst(warmup=warmup(1.5)), burst(contended=True), burst())
    for _ in range(3):
        racing.measure(None)
    assert racing.spent_s == pytest.approx(1.5 + 3 * 0.4)


def test_a_rehearsal_is_no_part_of_the_trial_but_its_warm_up_is():
    racing = contender(burst(warmup=warmup(2.0)), burst())
    racing.rehearse(50.0)
    assert racing.worker.orders == [BurstOrder(spin_rate=50.0, rehearsal=True)]
    assert racing.spent_s == 2.0 and len(racing.latencies_s) == 0
    racing.measure(None)
    outcome = racing.outcome(VALID)
    assert outcome.warmup is not None and len(outcome.bursts) == 1


def test_patience_covers_a_warm_up_that_does_not_settle():
    racing = contender(burst(warmup=warmup(1.0)), burst(), max_seconds=400, burst_seconds=2)
    racing.measure(None)
    racing.measure(None)
    assert racing.worker.patience == [10 + 2 + 200, 10 + 2]


def test_one_limit_for_the_whole_build():
    racing = contender(READY, BUILT, patience=(100, 10))
    racing.build("folder")
    first, second = racing.worker.patience
    assert first == 100 and 0 <= second < 100


@pytest.mark.parametrize(
    ("answers", "key"), [([WorkerHung("Slow.", "R", "")], "build_seconds"), ([READY], "burst_grace_seconds")]
)
def test_the_remedy_names_the_limit_that_was_too_short(answers, key):
    racing = contender(*answers, BUILT, burst())
    if key == "build_seconds":
        assert failure_of(lambda: racing.build("f")).verdict is Verdict.TIMED_OUT
    else:
        racing.build("f")
        racing.measure(None)
    assert f"limits.{key}" in racing.worker.remedies[-1]


def test_wrong_answers_end_the_trial_before_it_is_measured():
    wrong = replace(BUILT, verification=replace(BUILT.verification, passed=False, reason="SQNR 3 dB."))
    racing = contender(READY, wrong)
    failure = failure_of(lambda: racing.build("folder"))
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
    racing = contender(READY, BUILT, burst(), answer)
    racing.build("folder")
    racing.measure(None)
    failure = failure_of(lambda: racing.measure(None))
    assert (failure.verdict, failure.reason) == (verdict, reason)
    outcome = racing.outcome(failure)
    assert len(outcome.bursts) == 1 and outcome.built is not None  # what was known is kept
