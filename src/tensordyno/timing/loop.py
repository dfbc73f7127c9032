"""The timed loop: runs batches for a while and notes when each one ended. It knows no engine.

One clock reading a batch: the end of a batch is the beginning of the next, so the latencies of a
serial burst add up to its wall-clock time and no gap between batches goes uncounted.
"""

import gc
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tensordyno.clock import Clock
from tensordyno.timing.step import Step


class Laps(NamedTuple):
    """Raw result of a burst. All times in seconds on the clock that timed them."""

    start_s: float
    stop_s: float
    latencies_s: list[float]


def run_burst(step: Step, clock: Clock, duration_s: float, least_batches: int = 1) -> Laps:
    """Run whole batches until `duration_s` have passed and `least_batches` are done."""
    with _no_garbage_collection():
        if step.depth == 1:
            return _serial(step, clock, duration_s, least_batches)
        return _pipelined(step, clock, duration_s, least_batches)


def _serial(step: Step, clock: Clock, duration_s: float, least_batches: int) -> Laps:
    now, run = clock.now, step.run
    ends: list[float] = []
    note = ends.append
    start = now()
    deadline = start + duration_s
    for _ in range(least_batches):
        run()
        note(now())
    while ends[-1] < deadline:
        run()
        note(now())
    return Laps(start, ends[-1], [b - a for a, b in zip([start, *ends], ends, strict=False)])


def _pipelined(step: Step, clock: Clock, duration_s: float, least_batches: int) -> Laps:
    """Keeps `depth` batches in flight; the burst ends when the last one begun is finished.

    The pipeline runs empty at the end, which a reader sees as a small loss of throughput; a burst
    therefore holds at least eight times `depth` batches.
    """
    now, start_batch, finish = clock.now, step.start, step.finish
    least = max(least_batches, 8 * step.depth)
    latencies: list[float] = []
    start = now()
    deadline = start + duration_s
    in_flight = deque((now(), start_batch()) for _ in range(step.depth))
    begun = step.depth
    stop = start
    while in_flight:
        began, handle = in_flight.popleft()
        finish(handle)
        stop = now()
        latencies.append(stop - began)
        if stop < deadline or begun < least:
            in_flight.append((stop, start_batch()))
            begun += 1
    return Laps(start, stop, latencies)


_YOUNG = 1  # generations: all of them take a tenth of a second with a framework loaded


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection in the middle of a burst would be timed as the engine's."""
    was_enabled = gc.isenabled()
    gc.collect(_YOUNG)
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
