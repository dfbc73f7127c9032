"""What launchers say, and what only looks as if one had spoken."""

import pytest
from launch_tools import mpich_places, open_mpi_places, slurm_places, torchrun_places

from tensordyno.run.launch_place import Place, place_in

FAMILIES = {
    "torchrun": ("torchrun", "RANK", torchrun_places),
    "open mpi": ("mpirun", "OMPI_COMM_WORLD_RANK", open_mpi_places),
    "mpich": ("mpirun", "PMI_RANK", mpich_places),
    "slurm": ("srun", "SLURM_PROCID", slurm_places),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_launcher_is_understood(name):
    launcher, variable, places = FAMILIES[name]
    for rank, environment in enumerate(places(3)):
        found = place_in(environment | {"HOME": "/"})
        assert found == Place(launcher, variable, rank, 3, 3) and found.on_one_host


@pytest.mark.parametrize("name", FAMILIES)
def test_a_single_process_is_no_launch(name):
    assert place_in(FAMILIES[name][2](1)[0]) is None


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "2"},  # set by hand, or by a cluster for its pods
        {"RANK": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"},  # a batch script outside a step
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "1"},
        {"PMI_RANK": "0"},
    ],
)
def test_leftovers_and_allocations_are_no_launch(environment):
    assert place_in(environment) is None


def test_the_innermost_launcher_that_started_several_counts():
    """torchrun within a step of Slurm; mpirun in a container whose image sets RANK."""
    both = slurm_places(2)[1] | torchrun_places(4)[3]
    assert place_in(both) == Place("torchrun", "RANK", 3, 4, 4)
    image = torchrun_places(1)[0] | open_mpi_places(2)[1]
    assert place_in(image) == Place("mpirun", "OMPI_COMM_WORLD_RANK", 1, 2, 2)


@pytest.mark.parametrize(
    "environment",
    [
        torchrun_places(4)[0] | {"LOCAL_WORLD_SIZE": "2"},
        open_mpi_places(4)[0] | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"},
        mpich_places(4)[0] | {"MPI_LOCALNRANKS": "2"},
        slurm_places(4)[0] | {"SLURM_STEP_NUM_NODES": "2"},
    ],
)
def test_ranks_on_other_hosts_are_noticed(environment):
    assert not place_in(environment).on_one_host
