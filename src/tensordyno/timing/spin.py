"""The spin probe: how much of its cores this process really gets, which `steal` does not show.

A virtual machine can lose half of its cores to neighbours for seconds at a time while every counter
in /proc still says that all is well. The probe does a fixed kind of work on all used threads at once
(SHA-256, for which hashlib releases the interpreter lock) and
compares the rate with the best one known on this machine.
"""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

from tensordyno.records.burst import Probe

_BLOCK = bytes(128 * 1024)  # 75 µs: long against the hand-over of the interpreter lock between threads
PROBE_SECONDS = 0.03
_REST_WINDOW_S = 0.005
_MOST_REST_S = 0.5


class SpinProbe:
    """Measures the hashing rate of `threads` threads together. Close it to end its threads.

    `patient`: each probe first waits until this process rests, for engines whose own threads spin on.
    """

    def __init__(self, threads: int, *, patient: bool = True) -> None:
        self._threads = threads
        self._patient = patient
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="spin")

    def measure(self, best_rate: float | None, duration_s: float = PROBE_SECONDS) -> Probe:
        """Spin for `duration_s` seconds once this process rests.

        `best_rate` in MiB/s is the reference of the loss. Without it the loss is 0: nothing is known
        against this moment.
        """
        if self._patient:
            _rest()
        deadline = time.perf_counter() + duration_s
        rate = sum(self._pool.map(_hash_until, [deadline] * self._threads))
        return Probe(rate=rate, loss=max(0.0, 1 - rate / best_rate) if best_rate else 0.0)

    def close(self) -> None:
        """End the probe's threads."""
        self._pool.shutdown()


def _rest() -> None:
    """Wait until the engine's own threads sleep: many spin on after a batch in the hope of another.

    ONNX Runtime's spin for 40 ms, and a probe beside them would blame the neighbours. Two quiet windows in
    a row are waited for, since the kernel accounts processor time in ticks; half a second at most, because
    an engine that never rests cannot be probed at all.
    """
    quiet_windows = 0
    until = time.perf_counter() + _MOST_REST_S
    while quiet_windows < 2 and time.perf_counter() < until:
        used_s = time.process_time()
        time.sleep(_REST_WINDOW_S)
        is_quiet = time.process_time() - used_s < 0.1 * _REST_WINDOW_S
        quiet_windows = quiet_windows + 1 if is_quiet else 0


def _hash_until(deadline: float) -> float:
    """MiB hashed per second of wall-clock time by this thread."""
    start = now = time.perf_counter()
    blocks = 0
    while blocks == 0 or now < deadline:
        hashlib.sha256(_BLOCK)
        blocks += 1
        now = time.perf_counter()
    return blocks * len(_BLOCK) / 2**20 / (now - start)
