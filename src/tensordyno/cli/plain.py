"""Progress as plain lines, for logs, pipes and continuous integration."""

from contextlib import suppress
from typing import TextIO

from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan
from tensordyno.run.progress import Progress
from tensordyno.units import significant
from tensordyno.vocabulary import Verdict


class PlainProgress(Progress):
    """One line a trial."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = 0
        self._ended = 0

    def planned(self, plan: Plan, already_done: int) -> None:
        """Say how much there is to do."""
        self._total, self._ended = len(plan.trials), already_done
        resumed = f", {already_done} done before" if already_done else ""
        self._say(f"{len(plan.trials)} trials{resumed}, {len(plan.skips)} skipped")

    def ended(self, outcome: Outcome) -> None:
        """One finished trial."""
        self._ended += 1
        self._say(f"[{self._ended}/{self._total}] {line_of(outcome)}")

    def note(self, text: str) -> None:
        """A remark about the whole run."""
        self._say(text)

    def _say(self, line: str) -> None:
        with suppress(BrokenPipeError):  # nobody reads on (dyno run | head): no reason to stop measuring
            print(line, file=self._stream, flush=True)


def line_of(outcome: Outcome) -> str:
    """A finished trial in one line: name, verdict, rate or reason."""
    kept = [b for b in outcome.bursts if not b.contended and b.batches]
    seconds = sum(b.duration_s for b in kept)
    rate = f"{significant(sum(b.images for b in kept) / seconds)} images/s" if seconds else ""
    if outcome.verdict is Verdict.VALID:
        return f"{outcome.trial.id}  VALID  {rate}"
    words = "  ".join(filter(None, (outcome.trial.id, outcome.verdict.upper(), rate)))
    return f"{words}  {outcome.reason}"
