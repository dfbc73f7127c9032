"""One pass of calibration images through the FP32 graph: a histogram of every tensor asked for.

Exact: the extremes, over every value of every image. Counted: of each image the same sample of each
tensor (`sampling`). ONNX Runtime always gets pieces of one size, which depends on the graph alone; the last
one is filled up and the filling ignored. So every image goes through the same arithmetic whatever batch it
came in, and the histograms do not depend on how images are batched or ordered.

Each thread runs a piece of its own from beginning to end: the many small probes would make threads that
share one piece wait for each other all the time. Memory holds some pieces and some samples, however many
images there are.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.datasets.base import FloatArray
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.look import Seen, look, open_session, run
from tensordyno.quantize.probes import NAME, Probes, count, cover

if TYPE_CHECKING:
    from onnx import ModelProto

_PIECE_BYTES = 2**23  # of the largest tensor in one call, so that probes still find it in a cache
_MOST_AT_A_TIME, _LEAST_AT_A_TIME = 32, 2  # images a call
_SAMPLES_AT_A_TIME = 2**23  # values that wait to be counted: few large arrays are faster than many small
_MOST_AT_ONCE = 8  # pieces; with more threads several share one, for the memory's sake


def observe(
    model: "ModelProto",
    tensors: Sequence[str],
    batches: Iterable[FloatArray],
    threads: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Histogram]:
    """Histograms of `tensors` over all images of `batches`, each (n, C, H, W) float32, n as it comes.

    The counts of one tensor are not those of another: of each, about as many values an image are counted
    whatever its size. `threads` 0: as many as there are cores. `progress` hears how many images are done.
    No images give empty histograms. Raises DataError: `bad-range` for NaN or infinite values, naming the
    tensor, `batch-not-first`; MissingPackage without onnxruntime.
    """
    found = {name: Histogram() for name in tensors}
    arriving = (batch for batch in batches if len(batch))
    first = next(arriving, None)
    if first is None or not found:
        return found
    threads = threads or len(os.sched_getaffinity(0))
    seen = look(model, list(found), first[:1], threads)
    images = piece_size(seen)
    probes = Probes(seen, images)
    at_once = min(threads, _MOST_AT_ONCE)
    session = open_session(model, probes.addition(), threads - at_once + 1, images)
    tally = _Tally(probes, model.graph.output[0].name, found)
    done = 0
    for outputs, used in _run_all(session, tally.outputs, pieces(chain([first], arriving), images), at_once):
        tally.take(*(output[:used] for output in outputs))
        done += used
        progress(done)
    tally.count()
    return found


def piece_size(seen: Iterable[Seen]) -> int:
    """How many images go through the graph at a time; a power of two."""
    largest = max(4 * int(np.prod(tensor.per_image, dtype=np.int64)) for tensor in seen)
    fitting = max(1, _PIECE_BYTES // largest).bit_length() - 1
    return int(min(max(2**fitting, _LEAST_AT_A_TIME), _MOST_AT_A_TIME))


def pieces(batches: Iterable[FloatArray], size: int) -> Iterator[tuple[FloatArray, int]]:
    """The same images in arrays of exactly `size`, and how many of them count; behind the last are zeros."""
    piece: FloatArray | None = None
    used = 0
    for batch in batches:
        if piece is None:
            piece = np.zeros((size, *batch.shape[1:]), np.float32)
        start = 0
        while start < len(batch):
            taken = batch[start : start + size - used]
            piece[used : used + len(taken)] = taken
            start, used = start + len(taken), used + len(taken)
            if used == size:
                yield piece, used
                piece, used = np.zeros_like(piece), 0
    if piece is not None and used:
        yield piece, used


def _run_all(
    session: Any, outputs: list[str], arriving: Iterable[tuple[FloatArray, int]], at_once: int
) -> Iterator[tuple[list[FloatArray], int]]:
    """The outputs for each piece in turn, and how many images of it count; so many run at the same time."""
    running: deque[tuple[Future[list[FloatArray]], int]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        for piece, used in arriving:
            if len(running) > at_once:  # one waits, so that no thread does
                future, before = running.popleft()
                yield future.result(), before
            running.append((pool.submit(run, session, outputs, piece), used))
        for future, before in running:
            yield future.result(), before


class _Tally:
    """Histograms in the making, and the samples not counted yet."""

    def __init__(self, probes: Probes, answer: str, found: dict[str, Histogram]) -> None:
        self.outputs = [answer, NAME]
        self._probes = probes.probes
        self._found = found
        self._waiting: list[FloatArray] = []

    def take(self, answer: FloatArray, rows: FloatArray) -> None:
        """The network's answers and the probes' rows for some images; raises DataError (`bad-range`)."""
        for probe in self._probes:
            cover(self._found[probe.tensor], probe, rows)
        self._waiting.append(rows)
        broken = not np.isfinite(answer).all()
        if broken or sum(rows.size for rows in self._waiting) >= _SAMPLES_AT_A_TIME:
            self.count()  # which names the first tensor where it can be seen
        if broken:
            Histogram().cover(float(answer.min()), float(answer.max()), self.outputs[0])

    def count(self) -> None:
        """Count the samples that wait; raises DataError (`bad-range`)."""
        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._waiting = []
            for probe in self._probes:
                count(self._found[probe.tensor], probe, rows)
