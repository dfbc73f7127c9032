import errno

import numpy as np
import pytest

from tensordyno.engines.out_of_memory import OutOfMemory, is_out_of_memory, memory_errors, shortage_of
from tensordyno.records.memory import Shortage

# As the frameworks print them.
MESSAGES = [
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc",
    "bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 1638400000",
    "Exception from src/inference/src/cpp/core.cpp:117:\nFailed to allocate 4915200000 bytes of memory\n\n",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_what_frameworks_print_becomes_a_memory_error(message):
    with pytest.raises(MemoryError) as raised, memory_errors():
        raise RuntimeError(message)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert "\n" not in str(raised.value) and "core.cpp" not in str(raised.value)


def test_other_exceptions_pass():
    with pytest.raises(ValueError, match="shape") as raised, memory_errors():
        raise ValueError("shape mismatch")
    assert not is_out_of_memory(raised.value)


def test_a_memory_error_passes_as_it_is():
    original = MemoryError("mine")
    with pytest.raises(MemoryError) as raised, memory_errors():
        raise original
    assert raised.value is original


def test_a_type_that_says_so():
    class OutOfMemoryError(RuntimeError):
        pass

    assert is_out_of_memory(OutOfMemoryError("no words"))


def test_the_kernel_s_own_code():
    assert is_out_of_memory(OSError(errno.ENOMEM, "no room"))
    assert not is_out_of_memory(OSError(errno.ENOENT, "no file"))


def test_a_cause_deeper_down_counts():
    outer = RuntimeError("backend failed")
    outer.__cause__ = MemoryError()
    assert is_out_of_memory(outer)


def test_as_a_decorator():
    @memory_errors()
    def allocate(size):
        if size > 1:
            raise RuntimeError("std::bad_alloc")
        return size

    assert allocate(1) == 1
    with pytest.raises(MemoryError, match="bad_alloc"):
        allocate(2)


def test_the_figures_travel_with_the_error_and_the_advice_does_not():
    text = (
        "CUDA out of memory. Tried to allocate 49.00 GiB. GPU 0 has a total capacity of 139.80 GiB of which "
        "12.44 GiB is free. Including non-PyTorch memory, this process has 127.35 GiB memory in use."
    )
    with pytest.raises(OutOfMemory) as raised, memory_errors():
        raise RuntimeError(text)
    assert raised.value.shortage == shortage_of(raised.value)
    assert raised.value.shortage.asked_bytes == 49 * 2**30
    assert str(raised.value).endswith("12.44 GiB is free.")


def test_figures_of_a_cause_count_and_those_of_other_errors_do_not():
    outer = RuntimeError("backend failed to allocate 3 bytes")
    outer.__cause__ = OutOfMemory("full", Shortage(asked_bytes=7))
    assert shortage_of(outer) == Shortage(asked_bytes=3)
    outer = RuntimeError("backend failed")
    outer.__cause__ = OutOfMemory("full", Shortage(asked_bytes=7))
    assert shortage_of(outer) == Shortage(asked_bytes=7)
    assert shortage_of(ValueError("buffer of size 4 is wrong")) is None
    assert shortage_of(MemoryError()) is None


def test_an_array_that_is_too_large_says_how_large():
    with pytest.raises(MemoryError) as raised, memory_errors():
        np.empty((2**40, 2**10), np.float64)
    assert shortage_of(raised.value) == Shortage(asked_bytes=2**53)
