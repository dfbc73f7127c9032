"""Ranks ordered together and heard together."""

import os

import pytest
from fake_worker import BUILT, READY, FakeWorker, burst, trial, warmup
from msgspec.structs import replace

from tensordyno.records.messages import BuildOrder, BuiltReport, BurstOrder, ReadyReport, StartOrder
from tensordyno.records.trial import Rank, build_key
from tensordyno.run.cache_folder import cache_root
from tensordyno.run.contender import Contender, Materials
from tensordyno.run.failure import Failure
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import Team, TrialFailed, threads_of
from tensordyno.vocabulary import Boundary, Verdict

ON_TWO = replace(trial(), device="cuda:1", devices=2)


def team(*told, asked=ON_TWO):
    workers = [FakeWorker(*answers) for answers in told]
    for index, worker in enumerate(workers):
        worker.pid = 100 + index
    return Team(asked, "folder", workers), workers


def test_every_rank_is_started_at_once_and_knows_its_place():
    _, workers = team((READY,), (READY,))
    assert [worker.orders for worker in workers] == [
        [StartOrder(trial=ON_TWO, folder="folder", rank=Rank(index=i, size=2), cache=str(cache_root()))]
        for i in (0, 1)
    ]


def test_ranks_take_the_devices_behind_the_first():
    assert [Rank(index=i, size=2).device_of(ON_TWO) for i in (0, 1)] == ["cuda:1", "cuda:2"]
    assert Rank(index=3, size=4).device_of(trial()) == "cpu"


def test_receipts_are_awaited_once():
    both, workers = team((READY,), (READY,))
    both.ready(5.0)
    both.ready(5.0)
    assert both.readies == (READY, READY) and workers[0].patience == [5.0]


def test_one_rank_after_the_other_builds():
    order = []
    told = [[lambda i=i: order.append(i) or BUILT] for i in (0, 1)]
    both, workers = team(*told)
    both.ask_in_turn(BuildOrder(trial=ON_TWO, folder="folder"), BuiltReport, 1, "")
    assert order == [0, 1]
    assert workers[1].orders[-1] == BuildOrder(trial=ON_TWO, folder="folder")


def test_the_death_of_any_rank_is_the_end_of_the_trial():
    both, _ = team((READY,), (WorkerDied("Dead.", -11, "words"),))
    with pytest.raises(TrialFailed) as failed:
        both.ready(1.0)
    assert (failed.value.failure.verdict, failed.value.failure.last_words) == (Verdict.CRASHED, "words")


def test_an_answer_to_another_question_is_a_crash():
    both, _ = team((burst(),), (burst(),))
    with pytest.raises(TrialFailed, match="'BurstReport' where 'ReadyReport' was due"):
        both.ask(BurstOrder(), ReadyReport, 1, "")


def test_all_leave_together():
    both, workers = team((), ())
    both.finish()
    assert {worker.ended for worker in workers} == {"finished"} and both.pids == (100, 101)


def test_a_joint_trial_warms_up_first_then_begins_everywhere_at_one_moment():
    answers = (READY, BUILT, burst(warmup=warmup(0.5)), burst(10.0, images=8, done=True))
    both, workers = team(answers, answers)
    racing = Contender(ON_TWO, both, 10, 10)
    racing.build(Materials("folder"))
    report = racing.measure(None)
    assert (report.burst.images, len(report.burst.ranks)) == (16, 2)
    rehearsal, joint = workers[0].orders[-2:]
    assert rehearsal.rehearsal and rehearsal.begin_s is None
    assert joint.begin_s is not None and joint == workers[1].orders[-1]
    outcome = racing.outcome(Failure(Verdict.VALID, "", ""))
    assert [(rank.device, rank.index) for rank in outcome.ranks] == [("cuda:1", 0), ("cuda:2", 1)]
    assert len(racing.latencies_s) == sum(b.batches for b in outcome.bursts) == 16
    assert [p.name for p in outcome.phases].count("load") == 2  # the build of each rank, one after the other


def test_one_wrong_rank_makes_the_trial_invalid():
    wrong = replace(BUILT, verification=replace(BUILT.verification, passed=False, reason="It is wrong."))
    both, _ = team((READY, BUILT), (READY, wrong))
    with pytest.raises(TrialFailed, match="It is wrong"):
        Contender(ON_TWO, both, 10, 10).build(Materials("folder"))


def test_ranks_share_the_cores():
    cores = len(os.sched_getaffinity(0))
    assert threads_of(trial()) is None
    assert threads_of(replace(trial(), devices=2)) == max(1, cores // 2)
    assert threads_of(replace(trial(), devices=2, threads=3)) == 3


def test_builds_differ_by_what_is_loaded_and_not_by_how_it_is_timed():
    key = build_key(trial())
    same = replace(trial(), id="x", group="y", batch_size=64, boundary=Boundary.DEVICE)
    assert build_key(same) == key
    assert build_key(replace(trial(), seed=1)) != key and build_key(ON_TWO) != key
