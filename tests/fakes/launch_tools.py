"""Launches for tests: ranks at an address of their own, and a launcher that sets anybody's variables."""

import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager

from tensordyno.run.launch_place import Place
from tensordyno.run.launched import Launch

_RANK = """
import sys
from tensordyno.run.launch_place import Place
from tensordyno.run.launch_serve import Helper, meet

address, rank, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with meet(chr(0) + address, Place("torchrun", "RANK", rank, size, size)) as connection:
    Helper(connection, rank).serve()
"""
# starts the same command once a rank, as torchrun and mpirun do; exits with the largest status
_LAUNCHER = """
import json, os, subprocess, sys

places, command = json.loads(sys.argv[1]), sys.argv[2:]
ranks = [subprocess.Popen(command, env=os.environ | place) for place in places]
sys.exit(max(rank.wait() for rank in ranks))
"""


def place(rank=0, size=2):
    return Place("torchrun", "RANK", rank, size, size)


@contextmanager
def launched(size=2, environments=None):
    """A launch whose other ranks are processes; `environments` change those of single ranks."""
    address = uuid.uuid4().hex
    launch = Launch(place(0, size), f"\0{address}")
    ranks = {r: start_rank(address, r, size, (environments or {}).get(r, {})) for r in range(1, size)}
    try:
        yield launch, ranks
    finally:
        launch.close()
        for rank in ranks.values():
            rank.wait(60)


def start_rank(address, rank, size, environment):
    command = [sys.executable, "-c", _RANK, address, str(rank), str(size)]
    return subprocess.Popen(command, env=os.environ | environment)


def torchrun_places(size):
    return [
        {"RANK": str(i), "WORLD_SIZE": str(size), "LOCAL_RANK": str(i), "LOCAL_WORLD_SIZE": str(size)}
        for i in range(size)
    ]


def open_mpi_places(size):
    stem = "OMPI_COMM_WORLD"
    return [
        {f"{stem}_RANK": str(i), f"{stem}_SIZE": str(size), f"{stem}_LOCAL_RANK": str(i)}
        | {f"{stem}_LOCAL_SIZE": str(size)}
        for i in range(size)
    ]


def mpich_places(size):
    return [
        {"PMI_RANK": str(i), "PMI_SIZE": str(size), "MPI_LOCALRANKID": str(i), "MPI_LOCALNRANKS": str(size)}
        for i in range(size)
    ]


def slurm_places(size):
    return [
        {"SLURM_PROCID": str(i), "SLURM_STEP_NUM_TASKS": str(size), "SLURM_STEP_ID": "0"}
        | {"SLURM_LOCALID": str(i), "SLURM_NTASKS": str(size), "SLURM_STEP_NUM_NODES": "1"}
        for i in range(size)
    ]


def launcher(places, *command):
    """The command line of a launcher that starts `command` in each of these places."""
    return [sys.executable, "-c", _LAUNCHER, json.dumps(places), *command]
