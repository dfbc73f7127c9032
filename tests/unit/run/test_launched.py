"""A launch as rank 0 sees it, with other ranks that are real processes."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from flow_tools import is_gone, wait_for
from launch_tools import launched, place, start_rank, torchrun_places

from tensordyno.errors import UsageError, WorkerFailure
from tensordyno.plan.feasible import refusal
from tensordyno.plan.host import Host
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.run import launched as module
from tensordyno.run.launch_serve import meet
from tensordyno.run.launch_talk import Hello, new_socket, send
from tensordyno.run.launched import Launch, farewell, from_environment, host, shared_gpus
from tensordyno.run.spawn import Worker, WorkerDied
from tensordyno.vocabulary import Precision

SLEEP = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def _forget():
    yield
    from_environment.cache_clear()


@pytest.fixture
def python(tmp_path):
    """An 'interpreter' that runs a script of ours instead of the worker."""

    def make(script):
        path = tmp_path / f"python{abs(hash(script))}"
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o700)
        return str(path)

    return make


def worker_of(launch, rank, tmp_path, python=None, threads=None):
    return Worker(tmp_path / f"log{rank}", python, threads, "default", rank=rank, launch=launch)


def last_words(worker):
    with pytest.raises(WorkerDied) as died:
        worker.await_report(60)
    worker.kill()
    return died.value.last_words


def test_each_rank_starts_its_own_worker(tmp_path, python):
    show = python("import os; print(os.getppid())")
    with launched(3) as (launch, ranks):
        parents = {r: last_words(worker_of(launch, r, tmp_path, show)) for r in range(3)}
        assert parents == {0: str(os.getpid())} | {r: str(ranks[r].pid) for r in (1, 2)}
    assert [rank.wait(60) for rank in ranks.values()] == [0, 0]


def test_a_worker_inherits_what_the_launcher_gave_its_rank(tmp_path, python, monkeypatch):
    script = "import json, os; print(json.dumps([os.environ.get(n) for n in ('MINE', 'OMP_NUM_THREADS')]"
    show = python(f"{script} + [os.getcwd(), sorted(os.sched_getaffinity(0))]))")
    monkeypatch.chdir(tmp_path)
    with launched(environments={1: {"MINE": "one", "OMP_NUM_THREADS": "7"}}) as (launch, ranks):
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(ranks[1].pid, {core})
        told = json.loads(last_words(worker_of(launch, 1, tmp_path, show)))
        assert told == ["one", "1", str(tmp_path), [core]]
        assert json.loads(last_words(worker_of(launch, 1, tmp_path, show, threads=3)))[1] == "3"


def test_a_rank_that_does_not_appear_is_named():
    launch = Launch(place(0, 3), "\0dyno-test-missing")
    rank = start_rank("dyno-test-missing", 1, 3, {})
    wait_for(lambda: launch.pids.get(1) or _gathered(launch), "rank 1")
    with pytest.raises(WorkerFailure, match=r"Rank 2 of 3 did not appear within 0\.1 s") as missing:
        launch.gather(0.1)
    assert missing.value.slug == "rank-missing"
    launch.close()
    assert rank.wait(60) == 0


def _gathered(launch):
    with pytest.raises(WorkerFailure):
        launch.gather(0.2)
    return launch.pids.get(1)


def test_strangers_at_the_meeting_point_are_sent_away():
    launch = Launch(place(), "\0dyno-test-strangers")
    stranger, second, right = callers = [new_socket() for _ in range(3)]
    for caller in callers:
        caller.connect("\0dyno-test-strangers")
    stranger.send(b"hello")
    send(second, Hello(rank=0, pid=1, affinity=()))
    send(right, Hello(rank=1, pid=1, affinity=()))
    launch.gather(60)
    assert launch.pids == {0: os.getpid(), 1: 1}
    assert stranger.recv(10) == second.recv(10) == b""
    launch.close()
    for caller in callers:
        caller.close()


def test_a_meeting_point_that_is_taken_is_one_clear_error():
    launch = Launch(place(), "\0dyno-test-taken")
    with pytest.raises(WorkerFailure, match="cannot meet"):
        Launch(place(), "\0dyno-test-taken")
    launch.close()


def test_a_rank_that_dies_takes_its_worker_along_and_says_so(tmp_path, python):
    with launched() as (launch, ranks):
        worker = worker_of(launch, 1, tmp_path, python(SLEEP))
        ranks[1].kill()
        sentence = rf"Rank 1 of the launch \(process {ranks[1].pid}\) is gone, and the worker with it"
        with pytest.raises(WorkerDied, match=sentence):
            worker.await_report(60)
        worker.kill()
        with pytest.raises(WorkerDied, match=r"did not start: rank 1 of the launch .* is gone"):
            worker_of(launch, 1, tmp_path)


def test_more_ranks_than_there_are_cannot_be_had(tmp_path):
    with launched() as (launch, _), pytest.raises(WorkerDied, match="rank 2, and this launch has 2 ranks"):
        worker_of(launch, 2, tmp_path)


def test_nothing_stays_behind_when_rank_0_dies(tmp_path):
    """Rank 0 is a process here that kills itself after it has started a worker on rank 1."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\n{SLEEP}")
    stand_in.chmod(0o700)
    script = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(os.path.dirname(sys.modules["launch_tools"].__file__))!r})
from launch_tools import launched
from tensordyno.run.spawn import Worker
with launched() as (launch, ranks):
    log = Path({str(tmp_path / "log")!r})
    worker = Worker(log, {str(stand_in)!r}, None, "default", rank=1, launch=launch)
    print(ranks[1].pid, worker.pid, flush=True)
    os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    rank, worker = map(int, done.stdout.split())
    assert done.returncode == -signal.SIGKILL
    wait_for(lambda: is_gone(rank) and is_gone(worker), "rank 1 and its worker to leave")


def test_ctrl_c_does_not_reach_the_other_ranks_and_sigterm_waits_for_rank_0(tmp_path, python):
    """Both arrive at all ranks at once, and rank 0 must not find its workers dead before it has noticed."""
    with launched() as (launch, ranks):
        worker = worker_of(launch, 1, tmp_path, python(SLEEP))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ranks[1].send_signal(number)
        assert last_words(worker_of(launch, 1, tmp_path, python("print('still there')"))) == "still there"
        assert not is_gone(worker.pid)
        began = time.monotonic()
        launch.close()
        assert ranks[1].wait(60) == 0 and time.monotonic() - began < 9
        assert is_gone(worker.pid)
        worker.kill()


def test_cores_of_their_own_are_told_from_cores_that_all_share(monkeypatch):
    monkeypatch.setattr(module, "hello", lambda rank: Hello(rank=rank, pid=1, affinity=(0, 1)))
    for index, (theirs, binds) in enumerate([((0, 1), False), ((1, 2), False), ((2, 3), True)]):
        address = f"\0dyno-test-cores{index}"
        launch = Launch(place(), address)
        with new_socket() as rank:
            rank.connect(address)
            send(rank, Hello(rank=1, pid=2, affinity=theirs))
            launch.gather(60)
        assert launch.binds is binds
        launch.close()


@pytest.mark.parametrize(
    ("seen", "shared"),
    [
        ([None, None], None),
        (["0,1", "0,1"], None),
        (["0", "1"], "0,1"),
        (["3", "2", "0"], "3,2,0"),
        (["GPU-aa", "GPU-bb"], "GPU-aa,GPU-bb"),
    ],
)
def test_gpus_that_a_launcher_dealt_out_are_put_together_again(seen, shared):
    assert shared_gpus(seen) == shared


@pytest.mark.parametrize("seen", [["0", None], ["0", ""], ["0,1", "2,3"], ["0", "1", "0"]])
def test_gpus_that_cannot_be_put_together_are_refused(seen):
    with pytest.raises(UsageError, match="see different GPUs") as refused:
        shared_gpus(seen)
    assert refused.value.slug == "rank-devices"


def test_every_worker_sees_the_gpus_of_all_ranks(tmp_path, python, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    show = python("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    with launched(environments={1: {"CUDA_VISIBLE_DEVICES": "5"}}) as (launch, _):
        assert last_words(worker_of(launch, 1, tmp_path, show)) == "2,5"
        assert last_words(worker_of(launch, 0, tmp_path, show)) == "2,5"


# -- is there a launch at all? -------------------------------------------------------------------------


def stand_at(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "_ALONE_S", 0.05)


def test_without_a_launcher_there_is_no_launch():
    assert from_environment() is None and host().ranks is None


def test_variables_without_other_ranks_are_no_launch(monkeypatch):
    stand_at(monkeypatch, torchrun_places(2)[0])
    assert from_environment() is None and host().ranks is None


def test_company_makes_a_launch(monkeypatch):
    stand_at(monkeypatch, torchrun_places(2)[0])
    monkeypatch.setattr(module.launch_kin, "ranks", lambda variable: {1: None})
    launch = from_environment()
    assert (launch.rank, launch.size, launch.launcher) == (0, 2, "torchrun") and host().ranks == 2
    assert from_environment() is launch
    launch.close()


def test_more_devices_than_ranks_are_planned_away():
    many = Trial(
        id="t",
        model="x.onnx",
        engine=EngineChoice(name="null"),
        precision=Precision.FP32,
        batch_size=1,
        devices=3,
    )
    assert refusal(many, Host(ranks=2)) == "3 devices need as many ranks, and this launch has 2"
    assert refusal(many, Host(ranks=3)) is None and refusal(many, Host()) is None


def test_rank_0_does_not_leave_before_those_who_are_late(monkeypatch):
    """It measured nothing, so it never listened; rank 1 must not wait for a rank 0 to come."""
    stand_at(monkeypatch, torchrun_places(2)[0])
    monkeypatch.setattr(module, "address_of", lambda place: "\0dyno-test-late")
    monkeypatch.setattr(module.launch_kin, "ranks", lambda variable: {1: None})
    rank = start_rank("dyno-test-late", 1, 2, {})
    farewell(60)
    assert rank.wait(60) == 0
    farewell(0)  # one that never comes is left behind


def test_several_hosts_are_refused(monkeypatch):
    stand_at(monkeypatch, torchrun_places(4)[0] | {"LOCAL_WORLD_SIZE": "2"})
    with pytest.raises(UsageError, match="4 ranks on several hosts") as refused:
        from_environment()
    assert refused.value.slug == "several-hosts"


def test_a_rank_without_a_rank_0_says_how_to_do_without(monkeypatch):
    with pytest.raises(WorkerFailure, match="rank 1 of 2, and no rank 0") as alone:
        meet("\0dyno-test-nobody", place(1), search_s=0.05)
    assert alone.value.slug == "rank-missing" and "env -u RANK dyno" in alone.value.remedy


def test_a_rank_leaves_when_rank_0_has_left_without_it(monkeypatch):
    gone = module.launch_kin.Process(psutil.Process().pid, 1)  # our id, another start
    monkeypatch.setattr(module.launch_kin, "ranks", lambda variable: {0: gone})
    assert meet("\0dyno-test-nobody", place(1), search_s=60) is None
