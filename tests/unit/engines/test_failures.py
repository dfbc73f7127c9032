import signal
import subprocess
import sys

import pytest

from tensordyno.engines.failures import EXIT_CODE, fail
from tensordyno.errors import Unsupported


def test_no_failure_does_nothing():
    fail("")


@pytest.mark.parametrize(
    ("failure", "error"), [("crash", RuntimeError), ("memory", MemoryError), ("unsupported", Unsupported)]
)
def test_failures_that_are_exceptions(failure, error):
    with pytest.raises(error, match="as it was told to"):
        fail(failure)


@pytest.mark.parametrize(
    ("failure", "status"),
    [("exit", EXIT_CODE), ("segfault", -signal.SIGSEGV), ("kill", -signal.SIGKILL)],
)
def test_failures_that_end_the_process(failure, status):
    assert _child(failure).wait(30) == status


def test_a_hang_does_not_return():
    child = _child("hang")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
    finally:
        child.kill()
        child.wait()


def _child(failure) -> subprocess.Popen:
    code = f"from tensordyno.engines.failures import fail; fail({failure!r})"
    return subprocess.Popen([sys.executable, "-c", code])
