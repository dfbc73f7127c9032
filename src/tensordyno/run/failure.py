"""Turns what went wrong in a worker into a verdict with a reason."""

from pathlib import Path
from typing import NamedTuple

from tensordyno.errors import DynoError
from tensordyno.records.memory import Shortage
from tensordyno.records.messages import FailureReport
from tensordyno.run.spawn import WorkerDied, WorkerHung
from tensordyno.vocabulary import Verdict

_VERDICTS = {
    "MemoryError": Verdict.OUT_OF_MEMORY,
    "DataError": Verdict.INVALID,  # a file is not what it should be: no crash of the engine
    "Unsupported": Verdict.UNSUPPORTED,
    "MissingPackage": Verdict.UNSUPPORTED,
    "UnknownName": Verdict.UNSUPPORTED,
    "UsageError": Verdict.UNSUPPORTED,
}


class Failure(NamedTuple):
    """A verdict that is not VALID, its reason, its slug, the worker's last words, what memory was missing."""

    verdict: Verdict
    reason: str
    slug: str
    last_words: str = ""
    shortage: Shortage | None = None


def from_report(report: FailureReport) -> Failure:
    """A worker gave up for a reason that it understood."""
    reason = f"{report.sentence} {report.remedy}".strip()
    verdict = _VERDICTS.get(report.error, Verdict.CRASHED)
    told = verdict in (Verdict.CRASHED, Verdict.OUT_OF_MEMORY)  # where the traceback may tell more
    return Failure(verdict, reason, report.slug, report.detail if told else "", report.shortage)


def from_error(error: DynoError, oom_kills_before: int | None = None) -> Failure:
    """A worker died or hung, or the parent met an error of its own while it readied a trial.

    A kill counts as out of memory when the kernel's own count rose above `oom_kills_before`.
    """
    reason = f"{error.sentence} {error.remedy}".strip()
    if isinstance(error, WorkerHung):
        return Failure(Verdict.TIMED_OUT, reason, error.slug, error.last_words)
    if isinstance(error, WorkerDied):
        now = oom_kills()
        if error.status == -9 and None not in (now, oom_kills_before) and now != oom_kills_before:
            sentence = "The kernel's out-of-memory killer ended the worker."
            return Failure(Verdict.OUT_OF_MEMORY, sentence, "out-of-memory", error.last_words)
        return Failure(Verdict.CRASHED, reason, error.slug, error.last_words)
    return Failure(_VERDICTS.get(type(error).__name__, Verdict.CRASHED), reason, error.slug)


def oom_kills(vmstat: Path = Path("/proc/vmstat")) -> int | None:
    """How many processes the kernel has killed for memory since it started; None if it won't say."""
    try:
        lines = vmstat.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
