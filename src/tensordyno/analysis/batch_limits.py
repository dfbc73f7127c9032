"""Where batches became too large for the memory: found by bisection, or seen in the sweep itself."""

from collections.abc import Sequence

from tensordyno.analysis.scores import Score
from tensordyno.records.base import Record
from tensordyno.records.memory import LargestBatch, Shortage
from tensordyno.store.reader import Run
from tensordyno.units import bytes_text
from tensordyno.vocabulary import Verdict

_Key = tuple[str, str, str, str, str, int, str]


class BatchLimit(Record, frozen=True, kw_only=True):
    """The end of one build's sweep of batch sizes."""

    score: Score  # of the smallest trial that ran out: says of which build
    fits: int  # largest batch that ran; 0: none did
    fails: int  # smallest batch that ran out of memory
    peak_bytes: int | None = None  # held with the largest that ran
    shortage: Shortage | None = None  # of the smallest that did not

    @property
    def needed_bytes(self) -> int | None:
        """Least memory with which the allocation that failed would have gone well; None: unknown."""
        found = self.shortage
        if found is None or None in (found.asked_bytes, found.free_bytes, found.total_bytes):
            return None
        return (found.total_bytes or 0) - (found.free_bytes or 0) + (found.asked_bytes or 0)

    @property
    def missing_bytes(self) -> int | None:
        """By how much the allocation that failed was too large; None: unknown.

        An allocator may find less in one piece than is free in all; then that is unknown, too.
        """
        found = self.shortage
        if found is None or found.asked_bytes is None or found.free_bytes is None:
            return None
        return found.asked_bytes - found.free_bytes if found.asked_bytes > found.free_bytes else None

    @property
    def sentence(self) -> str:
        """'batch 5,504 fits, 5,632 asks for 12.3 GiB more than is free'."""
        fits = (
            f"batch {self.fits:,} fits, {self.fails:,}"
            if self.fits
            else f"not even batch {self.fails:,} fits: it"
        )
        if self.missing_bytes is not None:
            return f"{fits} asks for {bytes_text(self.missing_bytes)} more than is free"
        if self.shortage and self.shortage.asked_bytes is not None:
            return f"{fits} asks for {bytes_text(self.shortage.asked_bytes)} in one piece"
        return f"{fits} runs out of memory"


def batch_limits(run: Run, scores: Sequence[Score]) -> tuple[BatchLimit, ...]:
    """One a build that ran out of memory, in the order of the scores."""
    shortages = {o.trial.id: o.shortage for o in run.outcomes}
    sought = {_key(found): found for found in run.largest}
    builds: dict[_Key, list[Score]] = {}
    for score in scores:
        builds.setdefault(_key(score), []).append(score)
    ended = [(key, members) for key, members in builds.items() if any(map(_ran_out, members))]
    return tuple(_limit(members, sought.get(key), shortages) for key, members in ended)


def _limit(
    members: Sequence[Score], sought: LargestBatch | None, shortages: dict[str, Shortage | None]
) -> BatchLimit:
    first = min((s for s in members if _ran_out(s)), key=lambda s: s.batch_size)
    peaks = {
        s.batch_size: s.peak_device_bytes for s in members if _fits(s) and s.batch_size < first.batch_size
    }
    if sought is None:
        fits = max(peaks, default=0)
        return BatchLimit(
            score=first,
            fits=fits,
            fails=first.batch_size,
            peak_bytes=peaks.get(fits),
            shortage=shortages.get(first.trial),
        )
    return BatchLimit(
        score=first,
        fits=sought.fits,
        fails=sought.fails,
        peak_bytes=peaks.get(sought.fits) if sought.peak_bytes is None else sought.peak_bytes,
        shortage=sought.shortage or shortages.get(first.trial),
    )


def _ran_out(score: Score) -> bool:
    return score.verdict is Verdict.OUT_OF_MEMORY


def _fits(score: Score) -> bool:
    return score.verdict.is_measured or score.peak_device_bytes is not None


def _key(of: Score | LargestBatch) -> _Key:
    return of.model, of.engine, of.precision, of.boundary, of.device, of.devices, of.dataset
