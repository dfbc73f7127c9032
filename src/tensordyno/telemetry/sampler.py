"""Reads all sources on one schedule and keeps an account of its own punctuality and cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from tensordyno.clock import Clock
from tensordyno.records.base import Record
from tensordyno.records.reading import Channel, ChannelSet, Reading, SamplerFacts, Unavailable
from tensordyno.telemetry.base import SensorUnavailable, Source

Sink = Callable[[str, Record], None]  # (source's name, record)

_ERRORS_IN_A_ROW = 3


@dataclass
class _Open:
    """A source at work."""

    source: Source
    channels: tuple[Channel, ...]
    errors: int = 0  # in a row


class Sampler:
    """Sweeps over `sources` every `interval_s` seconds, on times fixed when it opens, so without drift.

    Every fact goes to `sink`: first a ChannelSet and the DeviceFacts of each source, or Unavailable
    with the reason; then a Reading a sweep. The sink is called under a lock, by one thread at a time.

    With a real clock `start` runs it on a daemon thread; with a fake clock call `tick` by hand:
    `clock.sleep(sampler.tick())`. If the sink raises, sampling stops and `close` raises that error.
    """

    def __init__(self, sources: Sequence[Source], clock: Clock, interval_s: float, sink: Sink) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s must be positive, not {interval_s}")
        self._waiting = list(sources)
        self._clock = clock
        self._interval_s = interval_s
        self._sink = sink
        self._open: list[_Open] = []
        self._lock = Lock()
        self._running = Event()
        self._stopping = Event()
        self._thread: Thread | None = None
        self._failure: Exception | None = None
        self._due_s = math.nan
        self._sweeps = self._late = 0
        self._worst_s = self._cost_s = 0.0

    def open(self) -> None:
        """Open all sources; the first sweep is due now. Called by `start` if it has not been."""
        with self._lock:
            while self._waiting:
                self._open_source(self._waiting.pop(0))
            self._due_s = self._clock.now()
            self._running.set()

    def start(self) -> None:
        """Open, and sample on a daemon thread from now on."""
        if not self._is_open():
            self.open()
        self._thread = Thread(target=self._loop, name="sampler", daemon=True)
        self._thread.start()

    def tick(self) -> float:
        """Sweep if one is due; returns the seconds until the next is. Sweeps that were missed are skipped."""
        with self._lock:
            now_s = self._clock.now()
            if now_s >= self._due_s and self._running.is_set() and not self._stopping.is_set():
                self._account(now_s - self._due_s)
                self._sweep()
                began_s, now_s = now_s, self._clock.now()
                self._cost_s += now_s - began_s
                self._due_s = self._next_due_s(now_s)
            return max(0.0, self._due_s - now_s)

    def watch(self, pids: dict[int, str]) -> None:
        """Follow these processes too from the next sweep on, pid -> label."""
        with self._lock:
            for entry in self._open:
                channels = entry.source.watch(pids)
                if channels is not None:
                    entry.channels = channels
                    self._sink(entry.source.name, ChannelSet(source=entry.source.name, channels=channels))

    def pause(self) -> None:
        """No sweep is under way when this returns, and none begins before `resume`."""
        with self._lock:
            self._running.clear()

    def resume(self) -> None:
        """Go on with the next time of the schedule; what was missed meanwhile is not late."""
        with self._lock:
            if self._is_open():
                self._due_s = self._next_due_s(self._clock.now())
                self._running.set()

    def facts(self) -> SamplerFacts:
        """The account so far. A sweep's cost is the time it took, the wait for devices and sink included."""
        with self._lock:
            return SamplerFacts(
                interval_s=self._interval_s,
                samples=self._sweeps,
                late=self._late,
                worst_lateness_s=self._worst_s,
                mean_cost_s=self._cost_s / self._sweeps if self._sweeps else 0.0,
            )

    def close(self) -> None:
        """Stop and close all sources; twice is harmless. Raises what the sink raised on the thread."""
        self._stopping.set()
        self._running.set()  # wakes a paused thread
        if self._thread is not None:
            self._thread.join()
        self._running.clear()
        for entry in self._open:
            entry.source.close()
        self._open = []
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loop(self) -> None:
        try:
            while not self._stopping.wait(self.tick()):
                self._running.wait()
        except Exception as wrong:  # the sink's: a full disk, a closed file
            self._failure = wrong

    def _is_open(self) -> bool:
        return not math.isnan(self._due_s)

    def _open_source(self, source: Source) -> None:
        try:
            channels = source.open()
        except Exception as wrong:  # most are SensorUnavailable; a broken driver is no reason to stop either
            source.close()
            self._sink(source.name, Unavailable(source=source.name, reason=_reason(wrong)))
            return
        self._open.append(_Open(source, channels))
        self._sink(source.name, ChannelSet(source=source.name, channels=channels))
        for device in source.devices():
            self._sink(source.name, device)
        for reason in source.lacking():
            self._sink(source.name, Unavailable(source=source.name, reason=reason))

    def _next_due_s(self, now_s: float) -> float:
        """The first time of the schedule after now."""
        steps = math.floor((now_s - self._due_s) / self._interval_s) + 1
        return self._due_s + max(steps, 0) * self._interval_s

    def _account(self, lateness_s: float) -> None:
        self._sweeps += 1
        self._late += lateness_s > self._interval_s / 2
        self._worst_s = max(self._worst_s, lateness_s)

    def _sweep(self) -> None:
        for place, entry in enumerate(list(self._open)):
            is_due = (self._sweeps - 1 + place) % entry.source.period == 0  # slow ones take turns
            if entry.channels and is_due:
                self._read(entry)

    def _read(self, entry: _Open) -> None:
        source, failure = entry.source, ""
        before_s = self._clock.now()
        values: tuple[float | None, ...] = (None,) * len(entry.channels)
        try:
            values = _checked(source.read(), len(entry.channels))
        except Exception as wrong:  # a broken sensor must never break the measurement
            failure = _reason(wrong)
        entry.errors = entry.errors + 1 if failure else 0
        self._sink(source.name, Reading(t_s=(before_s + self._clock.now()) / 2, values=values))
        if entry.errors == _ERRORS_IN_A_ROW:
            self._open.remove(entry)
            source.close()
            gone = f"given up after {_ERRORS_IN_A_ROW} errors in a row: {failure}"
            self._sink(source.name, Unavailable(source=source.name, reason=gone))


def _reason(wrong: Exception) -> str:
    return str(wrong) if isinstance(wrong, SensorUnavailable) else f"{type(wrong).__name__}: {wrong}"


def _checked(values: Sequence[float], expected: int) -> tuple[float | None, ...]:
    if len(values) != expected:
        raise ValueError(f"{len(values)} values for {expected} channels")
    return tuple(value if math.isfinite(value) else None for value in values)
