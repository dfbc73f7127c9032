"""Turns every framework's way of saying "out of memory" into Python's MemoryError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

# What PyTorch, CUDA, ONNX Runtime, OpenVINO, oneDNN and the C++ library print.
_PHRASES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
    "out_of_memory",
    "outofmemory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from, says that memory ran out."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        if isinstance(seen, OSError) and seen.errno == errno.ENOMEM:
            return True
        if any(phrase in str(seen).lower() for phrase in _PHRASES):
            return True
        seen = seen.__cause__
    return False


@contextmanager
def memory_errors() -> Iterator[None]:
    """A stretch of framework calls; also a decorator.

    Raises MemoryError, with the framework's most telling line as its message, instead of whatever the
    framework raises when memory runs out. Other exceptions pass unchanged.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError(_telling_line(error)) from error
        raise


def _telling_line(error: BaseException) -> str:
    """The line that speaks of memory, of a message that may be a page long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = (line for line in lines if any(phrase in line.lower() for phrase in _PHRASES))
    return next(telling, lines[0] if lines else "")
