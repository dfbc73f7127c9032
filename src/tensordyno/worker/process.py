"""The conditions this worker measures under."""

import os
import resource
import sys

from tensordyno.records.build import ProcessFacts
from tensordyno.records.trial import Rank, Trial

_MALLOC_PREFIXES = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
_THREAD_PREFIXES = ("OMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "GOMP_", "TORCH", "OPENBLAS_", "CUDA_")


def process_facts(trial: Trial, threads: int) -> ProcessFacts:
    """This process as it runs now."""
    return ProcessFacts(
        pid=os.getpid(),
        python=f"{sys.implementation.name} {sys.version.split()[0]}",
        affinity=tuple(sorted(os.sched_getaffinity(0))),
        threads=threads,
        allocator=trial.allocator,
        malloc_settings=_environment(_MALLOC_PREFIXES),
        environment=_environment(_THREAD_PREFIXES),
    )


def thread_count(trial: Trial) -> int:
    """The threads asked for, or one for every core this process may use."""
    return trial.threads or len(os.sched_getaffinity(0))


def take_share(rank: Rank) -> None:
    """Keep to this rank's share of the cores: ranks must not disturb each other."""
    cores = sorted(os.sched_getaffinity(0))
    if rank.bind and 1 < rank.size <= len(cores):
        first, last = (len(cores) * i // rank.size for i in (rank.index, rank.index + 1))
        os.sched_setaffinity(0, cores[first:last])


def peak_rss_bytes() -> int:
    """Most memory this process ever held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _environment(prefixes: tuple[str, ...]) -> dict[str, str]:
    """What is set of these variables; where somebody keeps a cache is no condition of a measurement."""
    found = {k: v for k, v in sorted(os.environ.items()) if k.startswith(prefixes)}
    return {k: v for k, v in found.items() if not k.endswith("_DIR")}
