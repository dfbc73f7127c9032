"""Ways for a worker to die, on purpose: what the parent must survive and record."""

import os
import signal
import time
from typing import Literal, NoReturn

from tensordyno.errors import Unsupported

Failure = Literal["", "crash", "exit", "hang", "kill", "memory", "segfault", "unsupported"]

EXIT_CODE = 7


def fail(failure: Failure) -> None:
    """End this process, or this call, as `failure` says; "" does nothing.

    crash: an ordinary exception (RuntimeError); memory: MemoryError; unsupported: Unsupported;
    exit: the process leaves at once with code 7, as a C library that calls exit() would;
    hang: never returns; segfault and kill: the process dies of SIGSEGV or SIGKILL.
    """
    if failure == "crash":
        raise RuntimeError("the null engine crashed, as it was told to")
    if failure == "memory":
        raise MemoryError("the null engine ran out of memory, as it was told to")
    if failure == "unsupported":
        raise Unsupported("The null engine refuses, as it was told to.")
    if failure == "exit":
        os._exit(EXIT_CODE)
    if failure == "hang":
        _hang()
    if failure in ("segfault", "kill"):
        os.kill(os.getpid(), signal.SIGSEGV if failure == "segfault" else signal.SIGKILL)


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)
