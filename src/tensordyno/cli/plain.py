"""Progress as plain lines, for logs, pipes and continuous integration."""

from contextlib import suppress
from typing import TextIO

from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Plan, Trial
from tensordyno.run.progress import Progress
from tensordyno.units import significant
from tensordyno.vocabulary import Task, Verdict

_PARTS_TOLD = 4  # of a long phase: a line after each but the last, whose end the next line tells


class PlainProgress(Progress):
    """One line a trial, and a few for a phase that takes long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = 0
        self._ended = 0
        self._told: tuple[str, str, int] | None = None  # the last step: trial, phase, which quarter

    def planned(self, plan: Plan, already_done: int) -> None:
        """Say how much there is to do."""
        self._total, self._ended = len(plan.trials), already_done
        resumed = f", {already_done} done before" if already_done else ""
        self._say(f"{len(plan.trials)} trials{resumed}, {len(plan.skips)} skipped")

    def step(self, trial: Trial, doing: str, done: int, total: int) -> None:
        """A line after each quarter of a long phase."""
        told = (trial.id, doing, _PARTS_TOLD * done // max(total, 1))
        if told != self._told and 0 < told[2] < _PARTS_TOLD:
            self._say(f"{trial.id}  {doing} {done}/{total}")
        self._told = told

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
    """A finished trial in one line: name, verdict, rate or right answers, reason."""
    kept = [b for b in outcome.bursts if not b.contended and b.batches]
    seconds = sum(b.duration_s for b in kept)
    rate = f"{significant(sum(b.images for b in kept) / seconds)} images/s" if seconds else ""
    counted = outcome.accuracy
    if counted and counted.images and outcome.trial.task is Task.ACCURACY:
        rate = f"top-1 {counted.top1_correct / counted.images:.2%} of {counted.images} images"
    if outcome.verdict is Verdict.VALID:
        return "  ".join(filter(None, (outcome.trial.id, "VALID", rate)))
    words = "  ".join(filter(None, (outcome.trial.id, outcome.verdict.upper(), rate)))
    return f"{words}  {outcome.reason}"
