"""Figures of a message about memory that ran out, in bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.engines.shortage import shortage_in
from tensordyno.records.memory import Shortage

GIB, MIB = 2**30, 2**20
TORCH = (
    "CUDA out of memory. Tried to allocate {asked}. GPU 0 has a total capacity of {total} of which {free} is "
    "free. Process 4711 has 17.00 GiB memory in use. Including non-PyTorch memory, this process has 9.35 GiB "
    "memory in use. Of the allocated memory 126.60 GiB is allocated by PyTorch, and 31.50 MiB is reserved by "
    "PyTorch but unallocated."
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            TORCH.format(asked="49.00 GiB", total="139.80 GiB", free="12.44 GiB"),
            (49 * GIB, round(12.44 * GIB), round(139.8 * GIB)),
        ),
        (
            "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity; 14.35 GiB "
            "already allocated; 10.75 MiB free; 14.40 GiB reserved in total by PyTorch)",
            (20 * MIB, round(10.75 * MIB), round(15.78 * GIB)),
        ),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8192 bytes.", (8192, None, None)),
        ("Failed to allocate memory for requested buffer of size 5242880000", (5242880000, None, None)),
        (
            "BFCArena::AllocateRawInternal Available memory of 1048576 is smaller than requested bytes of "
            "5242880000",
            (5242880000, 1048576, None),
        ),
        (
            "[resizingAllocator.cpp::allocate::74] Error Code 1: Requested amount of GPU memory (5368709120 "
            "bytes) could not be allocated.",
            (5 * GIB, None, None),
        ),
        ("Error Code 2: OutOfMemory (Requested size was 77 bytes.)", (77, None, None)),
        ("Unable to allocate 2.25 GiB for an array with shape (3, 9)", (round(2.25 * GIB), None, None)),
        ("Failed to allocate 4915200000 bytes of memory", (4915200000, None, None)),
    ],
)
def test_what_frameworks_print(text, found):
    shortage = shortage_in(text)
    assert (shortage.asked_bytes, shortage.free_bytes, shortage.total_bytes) == found


@pytest.mark.parametrize(
    "text", ["", "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc(&p, size);", "std::bad_alloc"]
)
def test_a_message_without_figures_has_none(text):
    assert shortage_in(text) is None


sizes = st.integers(0, 10**8).map(lambda n: n / 100)


@given(
    asked=sizes, free=sizes, total=sizes, unit=st.sampled_from([("MiB", MIB), ("GiB", GIB), ("KiB", 1024)])
)
def test_any_figure_of_pytorch_is_read_back(asked, free, total, unit):
    name, factor = unit
    text = TORCH.format(asked=f"{asked:.2f} {name}", total=f"{total:.2f} {name}", free=f"{free:.2f} {name}")
    assert shortage_in(text) == Shortage(
        asked_bytes=round(asked * factor), free_bytes=round(free * factor), total_bytes=round(total * factor)
    )


@given(st.integers(0, 2**50))
def test_a_number_of_bytes_stays_exact(size):
    assert shortage_in(f"requested buffer of size {size}").asked_bytes == size


@given(st.text(alphabet="0123456789. GMiBbytes"))
def test_no_text_breaks_it(text):
    found = shortage_in(f"Tried to allocate {text}")
    assert found is None or found.asked_bytes >= 0
