"""Work whose amount is known: a matrix product of so many FLOP, a copy of so many bytes.

`python -m tensordyno.engines.known_work matmul 384` times it with a bare stopwatch that shares nothing
with the instrument but the work itself; the self-test compares both.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

KINDS = ("matmul", "copy")
BARE_CHUNKS = 12
BARE_CHUNK_S = 0.1


def amount(kind: str, size: int) -> int:
    """FLOP of a size x size matrix product (2 size^3), or bytes moved by a copy (read and write)."""
    return 2 * size**3 if kind == "matmul" else 2 * size


def work(kind: str, size: int) -> Callable[[], object]:
    """One portion of work, with buffers of its own: float32 matrices, or `size` bytes."""
    rng = np.random.default_rng(0)
    if kind == "matmul":
        a, b = rng.standard_normal((2, size, size), dtype=np.float32)
        return partial(np.matmul, a, b, np.empty_like(a))
    source = rng.integers(0, 255, size, dtype=np.uint8)
    return partial(np.copyto, np.empty_like(source), source)


def bare_rate(kind: str, size: int) -> float:
    """FLOP/s or bytes/s of the best of several chunks, by a loop and two clock readings a chunk.

    The best chunk, because other users of the machine can only make one slower.
    """
    portion = work(kind, size)
    portion()
    best = 0.0
    for _ in range(BARE_CHUNKS):
        done, start_s = 0, time.monotonic()
        while time.monotonic() - start_s < BARE_CHUNK_S:
            portion()
            done += 1
        best = max(best, done * amount(kind, size) / (time.monotonic() - start_s))
    return best


if __name__ == "__main__":
    print(bare_rate(sys.argv[1], int(sys.argv[2])))
