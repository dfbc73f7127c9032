"""How a worker is started: by which interpreter, with which arguments, in which environment."""

import os
import sys

from tensordyno.run.cache_folder import only_tensordyno

# glibc gives large blocks back to the system at every free, and PyTorch pays the page faults again
# for every activation; these two settings keep freed memory in the process (METHOD.md, Allocator).
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000"}


def worker_command(python: str | None, reports_fd: int) -> list[str]:
    """The command line of a worker that reports to `reports_fd` and dies with this process."""
    arguments = ["--reports", str(reports_fd), "--parent", str(os.getpid())]
    return [python or sys.executable, "-m", "tensordyno.worker", *arguments]


def worker_environment(python: str | None, threads: int | None, allocator: str) -> dict[str, str]:
    """Our environment with the thread count and the allocator's setting that a trial asks for.

    A foreign interpreter also learns where this package lies. Raises StoreError when it cannot be told.
    """
    environment = dict(os.environ)
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the driver's numbers, which telemetry has too
    environment["OMP_NUM_THREADS"] = str(threads or len(os.sched_getaffinity(0)))
    if allocator == "keep":
        environment.update(KEEP_FREED_MEMORY)
    if python:
        theirs = os.environ.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(only_tensordyno()), theirs]))
    return environment
