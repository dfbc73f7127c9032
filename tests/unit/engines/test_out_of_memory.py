import errno

import pytest

from tensordyno.engines.out_of_memory import is_out_of_memory, memory_errors

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
