"""Which processes belong to a launch, with real ones."""

import os
import subprocess
import sys
import time

import pytest
from launch_tools import launcher, torchrun_places

from tensordyno.run import launch_kin

# prints what it sees once all that shall be there are there, and stays until its stdin ends
_RANK = """
import os, sys, time
from tensordyno.run import launch_kin
wanted = set(map(int, sys.argv[1].split(","))) if sys.argv[1] else set()
deadline = time.monotonic() + 60
wanted -= {int(os.environ["RANK"])}
while set(found := launch_kin.ranks("RANK")) != wanted and time.monotonic() < deadline:
    time.sleep(0.01)
parent = launch_kin.launcher("RANK")
line = f"{os.environ['RANK']} {sorted(found)} {parent.pid} {launch_kin.is_alive(parent)}"
os.write(1, f"{line}\\n".encode())  # in one piece: the ranks share a pipe
sys.stdin.read()
"""


@pytest.fixture
def start():
    """Start a command whose copies report; returns their lines."""
    begun = []

    def run(command, count, **popen):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, **pipes, **popen))
        return begun[-1].pid, sorted(begun[-1].stdout.readline() for _ in range(count))

    yield run
    for process in begun:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def test_ranks_find_each_other_below_their_launcher(start):
    pid, lines = start(launcher(torchrun_places(3), sys.executable, "-c", _RANK, "0,1,2"), 3)
    assert lines == [f"0 [1, 2] {pid} True\n", f"1 [0, 2] {pid} True\n", f"2 [0, 1] {pid} True\n"]


def test_a_wrapper_script_around_each_rank_changes_nothing(start):
    wrapper = ["sh", "-c", '"$@"; true', "wrapper"]
    pid, lines = start(launcher(torchrun_places(2), *wrapper, sys.executable, "-c", _RANK, "0,1"), 2)
    assert lines == [f"0 [1] {pid} True\n", f"1 [0] {pid} True\n"]


def test_another_launch_and_another_command_are_no_kin(start):
    start(launcher(torchrun_places(2), sys.executable, "-c", _RANK, "0,1"), 2)
    alone = os.environ | torchrun_places(2)[0]
    assert start([sys.executable, "-c", _RANK, ""], 1, env=alone)[1] == [f"0 [] {os.getpid()} True\n"]


def test_a_process_that_has_ended_is_not_alive():
    process = subprocess.Popen(["sleep", "600"])
    started = launch_kin.Process(process.pid, launch_kin._started(process.pid))
    assert launch_kin.is_alive(started)
    assert not launch_kin.is_alive(launch_kin.Process(process.pid, started.started + 1))
    process.kill()
    while process.poll() is None and launch_kin.is_alive(started):
        time.sleep(0.01)
    assert not launch_kin.is_alive(started)
    process.wait()
    assert not launch_kin.is_alive(started)
