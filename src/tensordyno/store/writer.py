"""Writes a run folder: one flushed line a record, so that a crash loses at most what was in progress.

A small ballast file is given up when the disk is full: the lines that say so still fit.
"""

import errno
import fcntl
import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import StoreError
from tensordyno.records.base import Record
from tensordyno.records.trial import Plan
from tensordyno.records.wire import encode_line
from tensordyno.store.layout import RunFolder

_READINGS_AT_A_TIME = 4096  # bytes
_BALLAST_BYTES = 64 * 1024


class RunWriter:
    """Appends facts to a run folder. Every method raises StoreError and leaves whole lines behind."""

    def __init__(self, root: Path) -> None:
        self.folder = RunFolder(root)
        self._records: IO[bytes] | None = None
        self._readings: dict[str, IO[bytes]] = {}
        self._waiting: dict[str, bytearray] = {}  # lines of telemetry not yet written, by source
        self._ballast = root / ".ballast"

    def create(self, plan: Plan, spec_text: str) -> None:
        """Make the folder and store what was asked."""
        folder = self.folder
        with _explained(folder.root):
            self._make_folders()
            self._records = _open_alone(folder.records)  # before anything else: only one of two gets it
            if b"\n" in folder.records.read_bytes():
                self.close()
                raise StoreError(
                    "run-exists",
                    f"{folder.root} already holds a run.",
                    f"Choose another folder, or finish that run: dyno run --resume {folder.root}",
                )
            _cut_partial_line(folder.records)  # of a run that ended before it began
            self._ballast.write_bytes(bytes(_BALLAST_BYTES))
            write_whole(folder.spec, spec_text.encode())
            write_whole(folder.plan, msgspec.json.encode(plan))

    def reopen(self) -> None:
        """Go on with a run that was cut short; a half-written last line is removed."""
        with _explained(self.folder.root):
            self._make_folders()
            self._records = _open_alone(self.folder.records)
            _cut_partial_line(self.folder.records)
            for packed in self.folder.readings.glob("*.jsonl.gz"):
                _unpack(packed)
            for path in self.folder.readings.glob("*.jsonl"):
                _cut_partial_line(path)
            self._ballast.write_bytes(bytes(_BALLAST_BYTES))

    def append(self, record: Record) -> None:
        """One record, on the disk when this returns."""
        if self._records is None:
            raise StoreError("closed-run", f"{self.folder.root} is not open for writing.")
        _write_lines(self._records, encode_line(record))
        with _explained(self.folder.records):
            os.fsync(self._records.fileno())

    def append_reading(self, source: str, record: Record) -> None:
        """One line of telemetry; written some at a time, so that watching costs the workload less.

        A crash loses the last seconds of it, which no number of a finished trial rests on.
        """
        path = self.folder.reading_file(source)
        with _explained(path):
            if source not in self._readings:
                self._readings[source] = path.open("ab", buffering=0)
        line = encode_line(record)
        waiting = self._waiting.setdefault(source, bytearray())
        if len(waiting) + len(line) > _READINGS_AT_A_TIME:
            self._write_readings(source)
        waiting += line

    def flush_readings(self) -> None:
        """Hand all telemetry so far to the system."""
        for source in self._readings:
            self._write_readings(source)

    def save_latencies(self, trial_id: str, latencies_s: NDArray[np.float64]) -> None:
        """The raw latencies of one trial in seconds: whole, or not at all."""
        _save_array(self.folder.sample_file(trial_id), latencies_s)

    def save_answers(self, trial_id: str, answers: NDArray[np.int32]) -> None:
        """What a trial answered, int32 (images, 3) as in `layout`: whole, or not at all."""
        _save_array(self.folder.answer_file(trial_id), answers)

    def give_up_ballast(self) -> None:
        """Make room for the last lines on a full disk."""
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files and remove the ballast, unless the run is another session's."""
        if self._records is not None:
            self.give_up_ballast()
        with suppress(StoreError):  # the disk is full: the trials' own records matter more
            self.flush_readings()
        for file in (self._records, *self._readings.values()):
            if file:
                file.close()
        self._records = None
        self._readings.clear()
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _make_folders(self) -> None:
        folder = self.folder
        for path in (folder.root, folder.samples, folder.answers, folder.readings, folder.logs):
            path.mkdir(parents=True, exist_ok=True)

    def _write_readings(self, source: str) -> None:
        waiting = self._waiting[source]
        _write_lines(self._readings[source], bytes(waiting))
        waiting.clear()


def _save_array(path: Path, array: NDArray[Any]) -> None:
    content = io.BytesIO()  # NumPy's own writing to files hides why it failed
    np.save(content, array, allow_pickle=False)
    write_whole(path, content.getvalue())


def _write_lines(file: IO[bytes], lines: bytes) -> None:
    """Whole lines or nothing: what did not fit is cut off again."""
    size = os.fstat(file.fileno()).st_size
    try:
        rest = memoryview(lines)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as wrong:
        os.ftruncate(file.fileno(), size)
        raise explained(wrong, Path(file.name)) from wrong


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError that names the path."""
    try:
        yield
    except OSError as wrong:
        raise explained(wrong, path) from wrong


def explained(error: OSError, path: Path) -> StoreError:
    """What an OSError while writing `path` means to a user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            "disk-full", f"The disk is full: {path} cannot be written.", "Free some space, then --resume."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            "no-permission", f"No permission to write {path}.", "Choose another folder with -o DIR."
        )
    return StoreError("cannot-write", f"{path} cannot be written: {error.strerror or error}.")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none of it. Raises StoreError."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as wrong:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # on a full disk half a file would keep it full
        raise explained(wrong, path) from wrong


def _open_alone(path: Path) -> IO[bytes]:
    """Open for appending, unbuffered, while no other process does."""
    file = path.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as busy:
        file.close()
        raise StoreError("run-in-use", f"Another dyno is writing to {path.parent}.") from busy
    return file


def _unpack(packed: Path) -> None:
    """Put a file's content in place of its archive, so that lines can be added. Raises OSError."""
    whole = gzip.decompress(packed.read_bytes())
    write_whole(packed.with_suffix(""), whole)
    packed.unlink()


def _cut_partial_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("rb+") as file:
            file.truncate(whole)
