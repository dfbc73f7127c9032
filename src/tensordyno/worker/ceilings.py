"""What a device reaches with plain library calls, matrix products and copies: the roofs over every result."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from tensordyno.engines.torch_settings import torch_receipt
from tensordyno.errors import DynoError
from tensordyno.records.device import Ceiling
from tensordyno.records.messages import CeilingsOrder, CeilingsReport
from tensordyno.units import bytes_text
from tensordyno.vocabulary import Precision

Call = Callable[[], object]
Timer = Callable[[Call, int], list[float]]  # seconds that each of so many calls took the device

_MOST_REPEATS, _LEAST_REPEATS = 50, 5
_LARGEST_COPY = 2**30


class Plan(NamedTuple):
    """How much is tried on one kind of device."""

    precisions: tuple[Precision, ...]
    sizes: tuple[int, ...]  # of square matrices, ascending
    most_s: float  # a product that would take longer is not tried
    seconds: float  # of repeats of each quantity
    copy_bytes: int  # far more than any cache holds
    awake_s: float = 0.0  # until an idle device runs at full clocks
    fastest: bool = False  # of the repeats counts, instead of their median


_GPU = Plan(tuple(Precision), (1024, 2048, 4096, 8192), 0.06, 0.15, _LARGEST_COPY, awake_s=0.3)
# In fp16, tf32 and fp8 CPUs convert. Neighbours on the same cores make calls slower, never faster.
_CPU = Plan(
    (Precision.FP32, Precision.BF16, Precision.INT8), (512, 1024, 2048), 0.06, 0.15, 128 * 2**20, fastest=True
)


def measure_ceilings(order: CeilingsOrder, plan: Plan | None = None) -> CeilingsReport:
    """Measure the ordered device; never raises. What fails is left out; if all fails the report says why."""
    try:
        bench = _Bench(order.device, plan or (_GPU if order.device.startswith("cuda") else _CPU))
    except (DynoError, RuntimeError) as wrong:
        return CeilingsReport(reason=_first_line(wrong))
    found = tuple(bench.ceilings())
    return CeilingsReport(
        ceilings=found,
        reason="" if found else f"nothing could be measured: {bench.last_failure}",
        name=bench.name,
        features=bench.features(),
    )


class _Bench:
    """One device with PyTorch on it. Raises DynoError or RuntimeError where that cannot be."""

    def __init__(self, device: str, plan: Plan) -> None:
        self.name = _settle(device, Precision.FP32)
        import torch

        self._torch: Any = torch
        self._device = device
        self._plan = plan
        self._is_gpu = device.startswith("cuda")
        self.last_failure = ""
        if self._is_gpu:
            self._torch.cuda.set_device(device)
        self._time: Timer = self._by_events if self._is_gpu else by_clock

    def ceilings(self) -> Iterator[Ceiling]:
        """Matrix products first, then copies; memory is given back in between."""
        self._wake()
        for precision in self._plan.precisions:
            yield from self._try(lambda: self._matmul(precision))  # noqa: B023  (called at once)
        yield from self._try(self._copy)
        if self._is_gpu:
            yield from self._try(lambda: self._over_the_link("device_to_host"))
            yield from self._try(lambda: self._over_the_link("host_to_device"))

    def features(self) -> dict[str, str]:
        """What the framework knows of a GPU and NVML does not tell."""
        if not self._is_gpu:
            return {}
        told = self._torch.cuda.get_device_properties(self._device)
        sizes = {
            "L2 cache": "L2_cache_size",
            "Shared memory of a multiprocessor": "shared_memory_per_multiprocessor",
        }
        known = {name: getattr(told, field, 0) for name, field in sizes.items()}
        return {
            "Multiprocessors": str(told.multi_processor_count),
            **{name: bytes_text(size) for name, size in known.items() if size},
        }

    def _try(self, measure: Callable[[], Ceiling]) -> Iterator[Ceiling]:
        """The ceiling, or nothing where the library refuses in words of its own."""
        try:
            found = [measure()]
        except Exception as wrong:
            found = []
            self.last_failure = _first_line(wrong)
            traceback.print_exception(wrong, file=sys.stderr)
        if self._is_gpu:
            self._torch.cuda.empty_cache()
        yield from found

    def _wake(self) -> None:
        """Keep an idle device busy until its clocks are up."""
        if self._plan.awake_s:
            call = product(self._torch, Precision.FP32, self._plan.sizes[0], self._device)
            stop_s = perf_counter() + self._plan.awake_s
            while perf_counter() < stop_s:
                self._time(call, 10)

    def _matmul(self, precision: Precision) -> Ceiling:
        """The largest product that does not take too long."""
        _settle(self._device, precision)
        for size in self._plan.sizes:
            call = product(self._torch, precision, size, self._device)
            call()  # the library chooses its kernel
            if 8 * min(self._time(call, 3)) > self._plan.most_s:
                break
        seconds, chosen = self._seconds(call)
        how = f"{size:,} x {size:,} x {size:,} {_CALLS.get(precision, 'torch.matmul')}, {chosen}"
        return Ceiling(what="matmul", precision=precision.value, rate=2 * size**3 / seconds, how=how)

    def _copy(self) -> Ceiling:
        torch, size = self._torch, self._copy_bytes()
        source = torch.rand(size // 4, device=self._device) if self._is_gpu else torch.ones(size // 4)
        target = torch.zeros_like(source)
        seconds, chosen = self._seconds(lambda: target.copy_(source))
        how = f"{bytes_text(size)}, read and written, {chosen}"
        return Ceiling(what="copy", rate=2 * size / seconds, how=how)

    def _over_the_link(self, what: str) -> Ceiling:
        torch, size = self._torch, self._copy_bytes() // 4
        inside = torch.rand(size // 4, device=self._device)
        outside = torch.zeros(size // 4, pin_memory=True)
        source, target = (inside, outside) if what == "device_to_host" else (outside, inside)
        seconds, chosen = self._seconds(lambda: target.copy_(source, non_blocking=True))
        how = f"{bytes_text(size)} of pinned memory, {chosen}"
        return Ceiling(what=what, rate=size / seconds, how=how)

    def _copy_bytes(self) -> int:
        """An eighth of the memory that is free, if that is less than planned."""
        if not self._is_gpu:
            return self._plan.copy_bytes
        free, _ = self._torch.cuda.mem_get_info(self._device)
        return min(self._plan.copy_bytes, int(free) // 8 // 2**20 * 2**20)

    def _seconds(self, call: Call) -> tuple[float, str]:
        """Seconds of one call, and how they were chosen among the repeats."""
        call()
        once = min(self._time(call, 3))
        repeats = max(_LEAST_REPEATS, min(_MOST_REPEATS, int(self._plan.seconds / once)))
        times = self._time(call, repeats)
        return (
            (min(times), f"fastest of {repeats}")
            if self._plan.fastest
            else (median(times), f"median of {repeats}")
        )

    def _by_events(self, call: Call, repeats: int) -> list[float]:
        """By the device's own clock; the queue is never empty in between."""
        torch = self._torch
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
        torch.cuda.synchronize(self._device)
        marks[0].record()
        for mark in marks[1:]:
            call()
            mark.record()
        torch.cuda.synchronize(self._device)
        return [1e-3 * before.elapsed_time(after) for before, after in pairwise(marks)]


_CALLS = {Precision.INT8: "torch._int_mm", Precision.FP8: "torch._scaled_mm (e4m3)"}


def by_clock(call: Call, repeats: int) -> list[float]:
    """Seconds of each call, for a device that is done when the call returns."""
    marks = [perf_counter()]
    for _ in range(repeats):
        call()
        marks.append(perf_counter())
    return [after - before for before, after in pairwise(marks)]


def product(torch: Any, precision: Precision, size: int, device: str) -> Call:
    """A product of two square matrices of random numbers; zeros would draw less power and run faster.

    The right one lies in memory as its transpose in int8 and fp8: those kernels know no other layout.
    """
    shape = (size, size)
    if precision is Precision.INT8:
        left = torch.randint(-127, 128, shape, dtype=torch.int8, device=device)
        right = torch.randint(-127, 128, shape, dtype=torch.int8, device=device).t()
        return lambda: torch._int_mm(left, right)
    left, right = torch.randn(shape, device=device), torch.randn(shape, device=device)
    if precision is Precision.FP8:
        left, right = left.to(torch.float8_e4m3fn), right.to(torch.float8_e4m3fn).t()
        one = torch.ones((), device=device)
        return lambda: torch._scaled_mm(
            left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True
        )
    dtype = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}.get(precision, torch.float32)
    left, right = left.to(dtype), right.to(dtype)
    result = torch.empty(shape, dtype=dtype, device=device)
    return lambda: torch.matmul(left, right, out=result)


def _settle(device: str, precision: Precision) -> str:
    """Number formats as strict as an engine's; returns the device's own name."""
    return torch_receipt("ceilings", device, precision, len(os.sched_getaffinity(0))).device


def _first_line(wrong: BaseException) -> str:
    line = str(wrong).strip().partition("\n")[0]
    return line or type(wrong).__name__
