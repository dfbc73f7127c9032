"""Turns every framework's way of saying "out of memory" into Python's MemoryError, with its figures."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from tensordyno.engines.shortage import shortage_in
from tensordyno.records.memory import Shortage

# What PyTorch, CUDA, ONNX Runtime, TensorRT, OpenVINO, oneDNN and the C++ library print.
_PHRASES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "could not be allocated",
    "smaller than requested bytes",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
    "out_of_memory",
    "outofmemory",
)
_ASIDE = " Including non-PyTorch memory"  # from here on PyTorch speaks of itself and of its settings


class OutOfMemory(MemoryError):
    """Memory ran out, and by how much, where that is known."""

    def __init__(self, sentence: str, shortage: Shortage | None = None) -> None:
        super().__init__(sentence)
        self.shortage = shortage


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from, says that memory ran out."""
    return any(_says_so(each) for each in _chain(error))


def shortage_of(error: BaseException) -> Shortage | None:
    """How much was missing, from an exception or from one that it was raised from; None: nobody said.

    Only figures of exceptions that say that memory ran out are believed.
    """
    for each in _chain(error):
        known = each.shortage if isinstance(each, OutOfMemory) else None
        if found := known or (shortage_in(str(each)) if _says_so(each) else None):
            return found
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(phrase in str(error).lower() for phrase in _PHRASES)


@contextmanager
def memory_errors() -> Iterator[None]:
    """A stretch of framework calls; also a decorator.

    Raises OutOfMemory, a MemoryError with the framework's most telling line as its message and its figures
    as `shortage`, instead of whatever the framework raises when memory runs out. A MemoryError and all
    other exceptions pass unchanged.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(_telling_line(error), shortage_of(error)) from error
        raise


def _telling_line(error: BaseException) -> str:
    """The line that speaks of memory, of a message that may be a page long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = (line for line in lines if any(phrase in line.lower() for phrase in _PHRASES))
    return next(telling, lines[0] if lines else "").partition(_ASIDE)[0]
