"""What launches take of a GPU that need not be there: compiled for it, their machine code read.

Tests run Triton's interpreter, which replaces its compiler, so a process of its own compiles. Gluon has no
interpreter: without a GPU this is all that tests can say of Gluon kernels, that they compile and what they
take.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """Of one kernel: registers of a thread, bytes of local memory of a thread, bytes of shared memory.

    `waits`: whether it waits for what was launched before it, as an overlapping launch has to.
    """

    registers: int
    spills_bytes: int
    shared_bytes: int
    waits: bool


def resources(launch, capability):
    """Of the last kernel of a launch, for a GPU of that compute capability such as (9, 0)."""
    return all_resources([launch], capability)[0]


def all_resources(launches, capability):
    """Of the last kernel of each launch, compiled on all cores. Raises AssertionError with what it said."""
    from tensordyno.forge.compile_job import jobs_of

    jobs = [list(jobs_of(launch))[-1].packed().hex() for launch in launches]
    parts = min(len(os.sched_getaffinity(0)), len(jobs))
    with ThreadPoolExecutor(parts) as threads:
        found = list(
            threads.map(lambda part: _compiled(part, capability), (jobs[i::parts] for i in range(parts)))
        )
    return [found[i % parts][i // parts] for i in range(len(jobs))]


def _compiled(jobs, capability):
    """What a process of its own finds out about these jobs, in order."""
    from tensordyno.forge.devices import INTERPRETER

    ours = {name: value for name, value in os.environ.items() if name != INTERPRETER}
    done = subprocess.run(
        [sys.executable, __file__, str(capability[0] * 10 + capability[1])],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env=ours | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    return [Resources(**found) for found in json.loads(done.stdout.splitlines()[-1])]


def _of_compiled(kernel):
    """What the machine code of a compiled kernel says of itself."""
    from triton.backends import nvidia

    program = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])
        done = subprocess.run([program, "-res-usage", path], capture_output=True, text=True, check=True)
    found = re.search(r"REG:(\d+) STACK:(\d+).*LOCAL:(\d+)", done.stdout)
    assert found, done.stdout
    registers, stack, local = map(int, found.groups())
    return {
        "registers": registers,
        "spills_bytes": stack + local,
        "shared_bytes": kernel.metadata.shared,
        "waits": "griddepcontrol.wait" in kernel.asm["ptx"],
    }


def _main():
    from tensordyno.forge.compile_job import unpacked
    from tensordyno.forge.compile_worker import compile_for

    compile_for(int(sys.argv[1]))
    jobs = [unpacked(bytes.fromhex(job)) for job in json.load(sys.stdin)]
    print(json.dumps([_of_compiled(job.compile()) for job in jobs]))


if __name__ == "__main__":
    _main()
