"""Reads a run folder back: facts only, no numbers derived."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import StoreError
from tensordyno.records.base import Record
from tensordyno.records.device import DevicePage, IdleWindow
from tensordyno.records.machine import RunFooter, RunHeader
from tensordyno.records.memory import LargestBatch
from tensordyno.records.outcome import Outcome
from tensordyno.records.reading import (
    Channel,
    ChannelSet,
    DeviceFacts,
    Overhead,
    Reading,
    SamplerFacts,
    Unavailable,
)
from tensordyno.records.trial import Plan, Skip
from tensordyno.records.wire import decode_line
from tensordyno.store.layout import RunFolder
from tensordyno.vocabulary import Verdict

FloatArray = NDArray[np.float64]
AnswerArray = NDArray[np.int32]
T = TypeVar("T", bound=Record)

_RESTORE_ANSWERS = "Restore answers/ from a copy, or count the answers again in a new run."


@dataclass(frozen=True)
class Series:
    """The readings of one channel: times on the monotonic clock in seconds, values in its unit."""

    channel: Channel
    times_s: FloatArray
    values: FloatArray  # NaN where a value could not be read


@dataclass
class Run:
    """A run as it lies on disk. `outcomes` holds the last attempt of each trial, in plan order."""

    folder: RunFolder
    header: RunHeader
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    skips: tuple[Skip, ...] = ()
    sampler: SamplerFacts | None = None
    overhead: Overhead | None = None
    footer: RunFooter | None = None
    truncated: bool = False  # the last line was cut short by a crash
    unavailable: tuple[Unavailable, ...] = field(default=())
    pages: tuple[DevicePage, ...] = ()  # the last of each device
    idle: tuple[IdleWindow, ...] = ()
    largest: tuple[LargestBatch, ...] = ()

    def latencies_s(self, trial_id: str) -> FloatArray:
        """Latency of every batch of a trial in seconds, contended bursts included; empty if none."""
        path = self.folder.sample_file(trial_id)
        if not path.exists():
            return np.empty(0)
        try:
            samples: FloatArray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as wrong:
            raise StoreError("broken-samples", f"{path}: {wrong}.") from wrong
        return samples

    def answers(self, trial_id: str) -> AnswerArray:
        """What a trial answered to labelled images, int32 (images, 3); no rows if it answered none.

        A row holds the image's label, the first class of the logits and the label's rank from 0. Raises
        StoreError (`broken-answers`) for a file that is anything else.
        """
        path = self.folder.answer_file(trial_id)
        if not path.exists():
            return np.empty((0, 3), dtype=np.int32)
        try:
            with path.open("rb") as file:  # np.load would take an archive of arrays, too
                answers: AnswerArray = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as wrong:
            raise StoreError("broken-answers", f"{path}: {wrong}.", _RESTORE_ANSWERS) from wrong
        if not _is_answer_table(answers):
            sentence = f"{path} holds no table of labels, first classes and ranks."
            raise StoreError("broken-answers", sentence, _RESTORE_ANSWERS)
        return answers

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """Telemetry, one series a channel, sources in alphabetical order."""
        files = self.folder.reading_files()
        return tuple(series for path in files for series in read_series(path))

    @cached_property
    def devices(self) -> tuple[DeviceFacts, ...]:
        """The devices that telemetry names, sources in alphabetical order."""
        files = self.folder.reading_files()
        return tuple(device for path in files for device in read_devices(path))


def read_run(root: Path) -> Run:
    """The run stored in a folder.

    Raises StoreError when the folder holds no run, when a line is broken (except the last, which a
    crash may cut), or when a newer Tensordyno wrote it.
    """
    folder = RunFolder(root)
    records, truncated = _read_records(folder)
    headers = [r for r in records if isinstance(r, RunHeader)]
    if not headers:
        raise StoreError("no-run", f"{folder.records} has no header: the run never began.", "Type: dyno ls")
    plan = _read_plan(folder)
    outcomes = _last_outcomes(records)
    order = {trial.id: i for i, trial in enumerate(plan.trials)}
    sensors = _read_unavailable(folder)
    return Run(
        folder=folder,
        header=headers[0],
        plan=plan,
        outcomes=tuple(sorted(outcomes.values(), key=lambda o: order.get(o.trial.id, len(order)))),
        skips=plan.skips,
        sampler=_sum([r for r in records if isinstance(r, SamplerFacts)]),
        overhead=_last(records, Overhead),
        footer=_last(records, RunFooter),
        truncated=truncated,
        unavailable=sensors,
        pages=tuple({r.device: r for r in records if isinstance(r, DevicePage)}.values()),
        idle=tuple(r for r in records if isinstance(r, IdleWindow)),
        largest=tuple(r for r in records if isinstance(r, LargestBatch)),
    )


def _is_answer_table(found: AnswerArray) -> bool:
    return found.ndim == 2 and found.shape[1] == 3 and found.dtype == np.int32 and not (found < 0).any()


def _last(records: list[Record], kind: type[T]) -> T | None:
    return next((r for r in reversed(records) if isinstance(r, kind)), None)


def _last_outcomes(records: list[Record]) -> dict[str, Outcome]:
    """The last attempt of each trial; an interruption that came after its end takes nothing away."""
    outcomes: dict[str, Outcome] = {}
    for outcome in (r for r in records if isinstance(r, Outcome)):
        if outcome.verdict is not Verdict.INTERRUPTED or outcome.trial.id not in outcomes:
            outcomes[outcome.trial.id] = outcome
    return outcomes


def _sum(accounts: list[SamplerFacts]) -> SamplerFacts | None:
    """One account for all sessions of a run; None without any."""
    if not accounts:
        return None
    samples = sum(a.samples for a in accounts)
    return SamplerFacts(
        interval_s=accounts[-1].interval_s,
        samples=samples,
        late=sum(a.late for a in accounts),
        worst_lateness_s=max(a.worst_lateness_s for a in accounts),
        mean_cost_s=sum(a.mean_cost_s * a.samples for a in accounts) / samples if samples else 0.0,
    )


def _read_records(folder: RunFolder) -> tuple[list[Record], bool]:
    try:
        return _read_lines(folder.records)
    except (FileNotFoundError, NotADirectoryError) as wrong:
        sentence = f"{folder.root} holds no run (no records.jsonl)."
        raise StoreError("no-run", sentence, "Type: dyno ls") from wrong
    except OSError as wrong:
        raise StoreError("cannot-read", f"{folder.records} cannot be read: {wrong.strerror}.") from wrong


def _read_lines(path: Path, holding: bytes = b"") -> tuple[list[Record], bool]:
    """All records of a file whose lines hold these bytes, and whether the last line was cut."""
    lines = _content(path).split(b"\n")
    truncated = bool(lines[-1])  # a whole file ends with a newline
    whole = [(n, line) for n, line in enumerate(lines[:-1], start=1) if line and holding in line]
    return [decode_line(line, f"{path}:{n}") for n, line in whole], truncated


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked where it is gzipped. Raises StoreError for a broken archive."""
    stored = path.read_bytes()
    if path.suffix != ".gz":
        return stored
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as wrong:
        raise StoreError("broken-record", f"{path} cannot be unpacked: {wrong}.") from wrong


def _read_plan(folder: RunFolder) -> Plan:
    try:
        return msgspec.json.decode(folder.plan.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as wrong:
        raise StoreError("broken-record", f"{folder.plan}: {wrong}.") from wrong


def _read_unavailable(folder: RunFolder) -> tuple[Unavailable, ...]:
    found = []
    for path in folder.reading_files():
        found += [r for r in _read_lines(path, b'"unavailable"')[0] if isinstance(r, Unavailable)]
    return tuple(found)


def read_devices(path: Path) -> tuple[DeviceFacts, ...]:
    """The devices described in one file of readings. Raises StoreError for a broken line."""
    return tuple(r for r in _read_lines(path, b'"device"')[0] if isinstance(r, DeviceFacts))


def read_series(path: Path) -> Iterator[Series]:
    """The channels of one file of readings, in order of appearance. Raises StoreError for a broken line."""
    parts: dict[Channel, list[tuple[FloatArray, FloatArray]]] = {}
    for channels, readings in _sessions(_read_lines(path)[0]):
        times = np.array([r.t_s for r in readings])
        table = np.array([r.values for r in readings], dtype=float)  # None becomes NaN
        for channel, values in zip(channels, table.T, strict=True):
            parts.setdefault(channel, []).append((times, values))
    for channel, found in parts.items():
        yield Series(channel, *(np.concatenate(column) for column in zip(*found, strict=True)))


def _sessions(records: list[Record]) -> Iterator[tuple[tuple[Channel, ...], list[Reading]]]:
    """Readings with the channels they hold; the set changes when processes come and go."""
    current: tuple[Channel, ...] = ()
    readings: list[Reading] = []
    for record in records:
        if isinstance(record, Reading):
            readings.append(record)
        elif isinstance(record, ChannelSet):
            if readings:
                yield current, readings
            current, readings = record.channels, []
    if readings:
        yield current, readings
