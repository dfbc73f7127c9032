"""Telemetry of a run: the sampler and the folder it writes to."""

from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

from tensordyno.clock import RealClock
from tensordyno.errors import StoreError
from tensordyno.records.base import Record
from tensordyno.records.reading import Unavailable
from tensordyno.spec.schema import TelemetrySettings
from tensordyno.store.writer import RunWriter
from tensordyno.telemetry.base import open_sources
from tensordyno.telemetry.sampler import Sampler


class Watch:
    """Samples every sensor from `__enter__` to `__exit__`; what it cannot write it drops, and says so."""

    def __init__(self, settings: TelemetrySettings, writer: RunWriter) -> None:
        self._writer = writer
        self._dropped: Counter[str] = Counter()  # readings of a source that found no room on the disk
        self.active = settings.sources != ()
        self.interval_s = settings.interval_s
        sources = open_sources(settings.sources) if self.active else []
        self._sampler = Sampler(sources, RealClock(), settings.interval_s, self._store)

    def follow(self, processes: dict[int, str]) -> None:
        """Watch these worker processes from now on, pid -> label."""
        self._sampler.watch(processes)

    def pause(self) -> None:
        """Stop reading sensors for a while."""
        self._sampler.pause()

    def resume(self) -> None:
        """Go on reading."""
        self._sampler.resume()

    def __enter__(self) -> Self:
        if self.active:
            self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.active:
            self._sampler.close()
            for source, count in self._dropped.items():
                reason = f"{count} readings found no room on the disk"
                with suppress(StoreError):
                    self._writer.append_reading(source, Unavailable(source=source, reason=reason))
            with suppress(StoreError):
                self._writer.flush_readings()
            self._writer.append(self._sampler.facts())

    def _store(self, source: str, record: Record) -> None:
        try:
            self._writer.append_reading(source, record)
        except StoreError:  # the trial's own records matter more; the session meets the full disk itself
            self._dropped[source] += 1
