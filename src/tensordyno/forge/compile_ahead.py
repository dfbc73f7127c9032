"""Compiles kernels on all cores of the host before any is needed, into Triton's cache on the disk."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from tensordyno.errors import Unsupported
from tensordyno.forge.compile_worker import LENGTH, READY
from tensordyno.forge.devices import INTERPRETER
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.packages import needed

_JOBS_A_PROCESS = 3  # a process takes as long to start as so many jobs
Progress = Callable[[int, int], None]  # done, of how many


def compile_all(
    jobs: Sequence[bytes], target: Target, on_progress: Progress = lambda done, total: None
) -> Mapping[bytes, str]:
    """Compile packed jobs, each once; returns the reasons of those that failed, which may be all.

    A compiler that crashes takes only its own job with it. Raises Unsupported where none can be started.
    """
    distinct = list(dict.fromkeys(jobs))
    if not distinct:
        return {}
    processes = min(len(os.sched_getaffinity(0)), -(-len(distinct) // _JOBS_A_PROCESS))
    failures: dict[bytes, str] = {}
    with _Workers(target) as workers:
        threads = ThreadPoolExecutor(processes)
        try:
            answers = threads.map(workers.failure_of, distinct)
            for done, (job, reason) in enumerate(zip(distinct, answers, strict=True), 1):
                if reason:
                    failures[job] = reason
                on_progress(done, len(distinct))
        finally:
            threads.shutdown(cancel_futures=True)  # where somebody stops us, the rest is not compiled
    return failures


class _Workers:
    """One process for each thread that asks."""

    def __init__(self, target: Target) -> None:
        self._architecture = target.capability[0] * 10 + target.capability[1]
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *raised: object) -> None:
        for process in self._all:
            process.kill()
            process.communicate()

    def failure_of(self, job: bytes) -> str:
        """Why a job failed, or nothing."""
        process = self._process()
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            _pipe(process.stdin).write(LENGTH.pack(len(job)) + job)
            _pipe(process.stdin).flush()
            answer = _pipe(process.stdout).readline()
        return str(json.loads(answer)) if answer else f"The compiler's process died ({process.wait()})."

    def _process(self) -> "subprocess.Popen[bytes]":
        """This thread's own; another one where it died."""
        process: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if process is None or process.poll() is not None:
            process = self._mine.process = self._started()
        return process

    def _started(self) -> "subprocess.Popen[bytes]":
        """A process that waits for jobs. Raises Unsupported where it cannot even begin."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tensordyno.forge.compile_worker", str(self._architecture)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
            )
            self._all.append(process)
            if _pipe(process.stdout).readline() == READY:
                return process
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise Unsupported(f"No process can be started that compiles kernels: {last or process.wait()}.")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "asked for when the process was started"
    return pipe


def _environment() -> dict[str, str]:
    """Ours, with our modules and our place for compiled kernels, and with a compiler in any case."""
    ours = {name: value for name, value in os.environ.items() if name != INTERPRETER}
    cache = str(needed("triton").knobs.cache.dir)
    return ours | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TRITON_CACHE_DIR": cache}
