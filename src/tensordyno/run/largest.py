"""Where a sweep of batch sizes ran out of memory: the largest batch that fits, by bisection."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tensordyno.records.memory import LargestBatch, Shortage
from tensordyno.records.messages import FitOrder, FitReport
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Trial
from tensordyno.run.contender import Materials
from tensordyno.run.team import SLOW_BUILD, Team, TrialFailed

_GRAIN = 64  # the answer is good to a 64th of itself, or to one image


class Edge(NamedTuple):
    """What a sweep knows of one build: the largest batch that ran, the smallest that did not."""

    ran: int
    ran_out: int


def find_largest(
    failed: Outcome, known: Edge, materials: Materials, team_for: Callable[[Trial], Team], patience_s: float
) -> LargestBatch:
    """Halve the gap between the last batch that ran and the first that did not until it is narrow.

    Each try is a build and one inference. A worker that dies of it counts as one that ran out, and the next
    try gets a new one from `team_for`, which may raise TrialFailed.
    """
    trial = failed.trial
    tried: list[int] = []
    ran, out = known
    peak: int | None = None
    shortage: Shortage | None = failed.shortage
    team: Team | None = None
    try:
        while out - ran > max(1, ran // _GRAIN):
            size = (ran + out) // 2
            tried.append(size)
            attempt = msgspec.structs.replace(trial, batch_size=size)
            team = team or team_for(attempt)
            order = FitOrder(trial=attempt, folder=materials.folder, quantized=materials.quantized)
            try:
                team.ready(patience_s)
                report = _together(team.ask(order, FitReport, patience_s, SLOW_BUILD))
            except TrialFailed as failure:
                team.kill()
                team, report = None, FitReport(fits=False, shortage=failure.failure.shortage)
            if report.fits:
                ran, peak = size, report.peak_bytes
            else:
                out, shortage = size, report.shortage or shortage
    finally:
        if team:
            team.finish()
    return LargestBatch(
        model=trial.model,
        engine=trial.engine.label,
        precision=trial.precision.value,
        boundary=trial.boundary.value,
        device=trial.device,
        devices=trial.devices,
        dataset=trial.dataset,
        fits=ran,
        fails=out,
        tried=tuple(tried),
        peak_bytes=peak,
        shortage=shortage,
    )


def _together(reports: Sequence[FitReport]) -> FitReport:
    """All ranks must fit; the first that does not speaks for them."""
    return next((r for r in reports if not r.fits), reports[0])
