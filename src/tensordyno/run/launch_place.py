"""Where a launcher put this process: torchrun, mpirun and srun say so in environment variables."""

import os
from collections.abc import Mapping
from typing import NamedTuple

_HOSTS = "SLURM_STEP_NUM_NODES"


class _Family(NamedTuple):
    """The variables of one kind of launcher; `needs` tell a launch from an allocation or leftovers."""

    launcher: str
    rank: str
    size: str
    local_size: str = ""
    hosts: str = ""
    needs: tuple[str, ...] = ()


# Sources: PyTorch, "torchrun (Elastic Launch)", Environment Variables; Open MPI 5.0 manual, 11.1; Hydra of
# MPICH and Intel MPI sets MPI_LOCALNRANKS beside PMI's own; Slurm, srun(1), OUTPUT ENVIRONMENT VARIABLES. An
# allocation without a step (sbatch, salloc) sets SLURM_PROCID and SLURM_NTASKS too, hence the step's count.
_FAMILIES = (
    _Family("torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", needs=("LOCAL_RANK", "LOCAL_WORLD_SIZE")),
    _Family("mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    _Family("mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", _HOSTS),
    _Family("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", hosts=_HOSTS, needs=("SLURM_STEP_ID",)),
)


class Place(NamedTuple):
    """One process of a launch."""

    launcher: str  # its command, as it is typed
    variable: str  # the one that holds the rank
    rank: int
    size: int
    local_size: int  # how many of them run on this host, as far as the launcher says
    hosts: int = 1  # as far as the launcher says

    @property
    def on_one_host(self) -> bool:
        """Whether nothing says that ranks run elsewhere."""
        return self.hosts == 1 and self.local_size == self.size


def place_in(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place that the first launcher gives which started more than one process; None: there is none."""
    return next(filter(None, (_place(family, environment) for family in _FAMILIES)), None)


def _place(family: _Family, environment: Mapping[str, str]) -> Place | None:
    rank, size = _number(environment.get(family.rank)), _number(environment.get(family.size))
    if rank is None or size is None or not rank < size or size == 1:
        return None
    if not all(name in environment for name in family.needs):
        return None
    local_size, hosts = _number(environment.get(family.local_size)), _number(environment.get(family.hosts))
    return Place(family.launcher, family.rank, rank, size, local_size or size, hosts or 1)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None
