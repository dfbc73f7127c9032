"""`dyno` under torchrun and under launchers that set the variables of Open MPI, MPICH and Slurm."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from flow_tools import ENDLESS, REAL, Ended, is_gone, null, spec, wait_for, workers_of, write_spec
from launch_tools import launcher, mpich_places, open_mpi_places, slurm_places, torchrun_places

from tensordyno.store.reader import read_run

DYNO = (sys.executable, "-m", "tensordyno.cli.main")
LAUNCHERS = {
    "torchrun": torchrun_places,
    "open mpi": open_mpi_places,
    "mpich": mpich_places,
    "slurm": slurm_places,
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(here):
    """Start a launcher; whatever it leaves behind is ended."""
    begun = []

    def run(command):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(list(map(str, command)), **pipes))
        return begun[-1]

    yield run
    for process in begun:
        for left in [*_below(process.pid), process]:
            left.kill()
        process.communicate(timeout=60)


@pytest.fixture
def launch(start):
    def run(command) -> Ended:
        process = start(command)
        out, err = process.communicate(timeout=200)
        return Ended(process.returncode, out, err)

    return run


def _below(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def quick(folder, **changes):
    return write_spec(folder, spec([null(cost_s=0.002)], measure=REAL, **changes))


def check_two_ranks(root):
    (outcome,) = read_run(root).outcomes
    assert outcome.verdict.value == "valid", outcome.reason
    assert outcome.trial.devices == 2 and [rank.index for rank in outcome.ranks] == [0, 1]
    assert all(len(burst.ranks) == 2 for burst in outcome.bursts)


def torchrun(size, *arguments):
    program = shutil.which("torchrun", path=os.path.dirname(sys.executable))
    if program is None:
        pytest.skip("torchrun is not installed")
    return [program, "--standalone", "--nproc-per-node", size, "-m", "tensordyno.cli.main", *arguments]


def test_torchrun_measures_one_rank_a_process_and_rank_0_alone_speaks(launch, here):
    ended = launch(torchrun(2, "run", quick(here), "-o", "run", "--no-report", "--json"))
    assert ended.status == 0, ended.err
    assert [row["devices"] for row in ended.summary["trials"]] == [2]
    check_two_ranks(here / "run")


def test_mpirun_does_so_too(launch, here, monkeypatch):
    program = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("mpirun is not installed")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PRTE_ALLOW_RUN_AS_ROOT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    command = [program, "-n", "2", *DYNO, "run", quick(here), "-o", "run", "--no-report", "--json"]
    ended = launch(command)
    assert ended.status == 0, ended.err
    check_two_ranks(here / "run")


@pytest.mark.parametrize("name", ["open mpi", "mpich", "slurm"])
def test_each_mpi_and_slurm_do_so_too(launch, here, name):
    arguments = ("run", str(quick(here)), "-o", "run", "--no-report", "--json")
    ended = launch(launcher(LAUNCHERS[name](2), *DYNO, *arguments))
    assert ended.status == 0 and ended.err.count("VALID") == 1, ended.err
    assert [row["devices"] for row in ended.summary["trials"]] == [2]
    check_two_ranks(here / "run")


def test_a_spec_that_says_how_many_devices_is_obeyed(launch, here):
    path = quick(here, gpus=[1, 3])
    ended = launch(launcher(torchrun_places(2), *DYNO, "run", str(path), "--dry-run"))
    assert ended.status == 0
    text = " ".join(ended.out.split())
    assert "3 devices need as many ranks, and this launch has 2" in text


def test_cores_that_the_launcher_deals_out_are_kept(launch, here):
    """Each rank's cores in the opposite order of what Tensordyno would give them, set by a wrapper script."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2 or shutil.which("taskset") is None:
        pytest.skip("needs two cores and taskset")
    places = [
        place | {"CORE": str(core)} for place, core in zip(torchrun_places(2), cores[::-1], strict=True)
    ]
    wrapper = ["sh", "-c", 'taskset -c $CORE "$@"; exit $?', "wrapper"]
    ended = launch(launcher(places, *wrapper, *DYNO, "run", str(quick(here)), "-o", "run", "--no-report"))
    assert ended.status == 0, ended.err
    (outcome,) = read_run(here / "run").outcomes
    assert [rank.affinity for rank in outcome.ranks] == [(cores[1],), (cores[0],)]


def test_a_mistake_is_told_once(launch):
    ended = launch(launcher(torchrun_places(3), *DYNO, "infer", "no_such_network"))
    assert ended.status == 2 and ended.out == "" and ended.err.count("dyno: ") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["--version"]])
def test_verbs_that_measure_nothing_speak_once(launch, arguments):
    ended = launch(launcher(torchrun_places(3), *DYNO, *arguments))
    alone = subprocess.run([*DYNO, *arguments], capture_output=True, text=True, check=True)
    assert (ended.status, ended.out, ended.err) == (0, alone.stdout, "")


def test_several_hosts_are_refused_in_one_line(launch, here):
    places = [place | {"LOCAL_WORLD_SIZE": "2"} for place in torchrun_places(4)[:2]]
    ended = launch(launcher(places, *DYNO, "run", str(quick(here)), "-o", "run"))
    assert ended.status == 2 and ended.err.count("dyno: ") == 1 and "[several-hosts]" in ended.err
    assert not (here / "run").exists()


# -- accidents -----------------------------------------------------------------------------------------


def endless(folder):
    return write_spec(folder, spec([null(cost_s=0.01)], measure=ENDLESS))


def rank_processes(process, size=2):
    """The ranks below a launcher, once both measure; rank 0 is the one whose child is worker 0."""
    ranks = [p for p in psutil.Process(process.pid).children() if "tensordyno.cli.main" in p.cmdline()]
    # between fork and exec a rank still looks like its launcher, whose environment names no rank
    by_rank = {int(rank): p for p in ranks if (rank := p.environ().get("RANK"))}
    ready = len(by_rank) == size and all(workers_of(p.pid) for p in by_rank.values())
    return by_rank if ready else None


def test_a_rank_that_is_killed_is_a_crash_of_the_trial_and_leaves_nothing(start, here):
    arguments = ("run", str(endless(here)), "-o", "run", "--no-report")
    process = start(launcher(torchrun_places(2), *DYNO, *arguments))
    ranks = wait_for(lambda: rank_processes(process), "both workers", 120)
    pids = [p.pid for p in _below(process.pid)]
    ranks[1].kill()
    _, err = process.communicate(timeout=120)
    assert "No trial is VALID" in err
    (outcome,) = read_run(here / "run").outcomes
    assert outcome.verdict.value == "crashed"
    assert f"Rank 1 of the launch (process {ranks[1].pid}) is gone" in outcome.reason
    wait_for(lambda: all(map(is_gone, pids)), "everybody to leave")


def test_nothing_is_left_when_rank_0_is_killed(start, here):
    arguments = ("run", str(endless(here)), "-o", "run", "--no-report")
    process = start(launcher(torchrun_places(2), *DYNO, *arguments))
    ranks = wait_for(lambda: rank_processes(process), "both workers", 120)
    pids = [p.pid for p in _below(process.pid)]
    ranks[0].kill()
    wait_for(lambda: all(map(is_gone, pids)), "everybody to leave")


def test_a_torchrun_that_is_stopped_leaves_a_run_that_can_be_resumed(start, here):
    """torchrun passes SIGTERM and Ctrl-C on to all ranks as SIGTERM."""
    path = endless(here)
    process = start(torchrun(2, "run", path, "-o", "run", "--no-report"))
    wait_for(lambda: rank_processes(process), "both workers", 120)
    pids = [p.pid for p in _below(process.pid)]
    process.terminate()
    _, err = process.communicate(timeout=120)
    wait_for(lambda: all(map(is_gone, pids)), "everybody to leave")
    (outcome,) = read_run(here / "run").outcomes
    assert outcome.verdict.value == "interrupted" and read_run(here / "run").footer.interrupted
    assert err.count("dyno: Stopped") == 1 and "dyno run --resume run" in err
