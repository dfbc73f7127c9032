"""A process that compiles kernels for a GPU it does not touch.

    python -m tensordyno.forge.compile_worker ARCHITECTURE

Standard input brings jobs, each four bytes of length and then a packed job; each is answered by one line of
JSON on the standard output of the start, "" or why it failed. What is printed goes to standard error.
"""

import json
import os
import struct
import sys
from typing import Any, BinaryIO

from tensordyno.forge.compile_job import unpacked
from tensordyno.forge.packages import needed

LENGTH = struct.Struct("<I")
READY = b"ready\n"  # the first line of all
_LONGEST_REASON = 300


class _GpuElsewhere:
    """Triton's driver as far as the compiler asks it."""

    def __init__(self, architecture: int) -> None:
        self._architecture = architecture

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device

    def get_current_target(self) -> Any:
        return needed("triton.backends.compiler").GPUTarget("cuda", self._architecture, 32)


def compile_for(architecture: int) -> None:
    """Let this process compile for a GPU of that architecture (90 for Hopper), whatever it has itself."""
    needed("triton.runtime.driver").driver.set_active(_GpuElsewhere(architecture))


def failure_of(packed: bytes) -> str:
    """Compile a job. Returns why that failed, in one line, or nothing."""
    try:
        unpacked(packed).compile()
    except Exception as wrong:  # a compiler has many ways to fail, and the next job may be well
        text = " ".join(str(wrong).split()) or "no reason given"
        return f"{type(wrong).__name__}: {text}"[:_LONGEST_REASON]
    return ""


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer jobs until there are no more."""
    while len(head := jobs.read(LENGTH.size)) == LENGTH.size:
        reason = failure_of(jobs.read(*LENGTH.unpack(head)))
        answers.write(json.dumps(reason).encode() + b"\n")
        answers.flush()


def main() -> None:
    """The process."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    compile_for(int(sys.argv[1]))
    answers.write(READY)
    answers.flush()
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
