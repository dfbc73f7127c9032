"""Teams between two trials."""

import os

import pytest
from fake_worker import FakeWorker, trial
from msgspec.structs import replace

from tensordyno.errors import WorkerFailure
from tensordyno.records.messages import ReleasedReport, ReleaseOrder
from tensordyno.records.trial import EngineChoice
from tensordyno.run.pool import Pool, log_of
from tensordyno.run.spawn import WorkerDied
from tensordyno.run.team import Team, TrialFailed

TORCH = EngineChoice(name="torch")  # resizes on GPUs
SMALL, LARGE = (
    replace(trial(name), engine=TORCH, device="cuda:0", batch_size=size)
    for name, size in (("s", 1), ("l", 8))
)
OTHER = replace(SMALL, id="o", seed=5)


@pytest.fixture
def pool(monkeypatch):
    """A pool of fake teams; `made` lists them."""
    made = []

    def make(trial, folder):
        made.append(Team(trial, folder, [FakeWorker(ReleasedReport(), ReleasedReport())]))
        return made[-1]

    def build(*trials, cores=1):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        return Pool(make, trials)

    build.made = made
    return build


def worker_of(team):
    return team._workers[0]


def test_the_next_batch_size_gets_the_same_team_with_its_memory_freed(pool):
    ours = pool(SMALL, LARGE)
    team = ours.take(SMALL, "folder")
    ours.give_back(SMALL, team, healthy=True)
    assert worker_of(team).orders[-1] == ReleaseOrder()
    assert ours.take(LARGE, "folder") is team
    ours.give_back(LARGE, team, healthy=True)
    assert worker_of(team).ended == "finished" and len(pool.made) == 1


@pytest.mark.parametrize(
    ("trials", "healthy"), [((SMALL,), True), ((SMALL, OTHER), True), ((SMALL, LARGE), False)]
)
def test_a_team_that_nobody_can_use_leaves(pool, trials, healthy):
    ours = pool(*trials)
    team = ours.take(SMALL, "folder")
    ours.give_back(SMALL, team, healthy=healthy)
    assert worker_of(team).ended == "finished"


def test_an_engine_that_cannot_resize_gets_a_process_each(pool):
    small, large = (replace(t, engine=EngineChoice(name="onnxruntime"), device="cpu") for t in (SMALL, LARGE))
    ours = pool(small, large)
    ours.give_back(small, ours.take(small, "folder"), healthy=True)
    assert worker_of(pool.made[0]).ended == "finished"
    ours.take(large, "folder")
    assert len(pool.made) == 2


def test_a_team_that_cannot_free_its_memory_is_ended(pool):
    ours = pool(SMALL, LARGE)
    team = ours.take(SMALL, "folder")
    worker_of(team).answers = [WorkerDied("Dead.", -11, "")]
    ours.give_back(SMALL, team, healthy=True)
    assert worker_of(team).ended == "killed" and ours.take(LARGE, "folder") is not team


def test_a_trial_that_comes_back_is_still_to_come(pool):
    ours = pool(SMALL)
    team = ours.take(SMALL, "folder")
    ours.again(SMALL)
    ours.give_back(SMALL, team, healthy=True)
    assert ours.take(SMALL, "folder") is team


@pytest.mark.parametrize(("cores", "started"), [(2, 0), (4, 1), (8, 2), (16, 2)])
def test_engines_are_imported_ahead_where_there_are_cores_for_it(pool, cores, started):
    ours = pool(SMALL, OTHER, cores=cores)
    ours.begin([(SMALL, "folder"), (OTHER, "folder")])
    ours.begin([(SMALL, "folder"), (OTHER, "folder")])
    assert len(pool.made) == started == len(ours.pids())
    ours.close()
    assert {worker_of(team).ended for team in pool.made} <= {"finished"}


def test_a_team_begun_for_nothing_leaves(pool):
    ours = pool(SMALL, cores=16)
    ours.begin([(SMALL, "folder")])
    ours.forget(SMALL)
    assert worker_of(pool.made[0]).ended == "finished" and ours.pids() == ()


def test_no_process_is_the_trials_failure():
    def make(trial, folder):
        raise WorkerFailure("worker-died", "It did not start.")

    ours = Pool(make, [SMALL])
    ours.begin([(SMALL, "folder")])
    with pytest.raises(TrialFailed, match="It did not start"):
        ours.take(SMALL, "folder")


def test_each_rank_has_a_log(tmp_path):
    assert log_of(tmp_path, SMALL, 0).name == "s.log"
    assert log_of(tmp_path, replace(SMALL, devices=2), 1).name == "s.rank1.log"
