"""Trials that are compared: all built first, then measured in interleaved rounds, one at a time."""

import random
from collections.abc import Iterator
from time import sleep

from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Measurement
from tensordyno.run.contender import Contender
from tensordyno.run.contention import SpinReference
from tensordyno.run.failure import Failure
from tensordyno.run.progress import Progress
from tensordyno.run.team import TrialFailed
from tensordyno.vocabulary import Verdict

_WAIT_FOR_CORES_S = 0.2  # while somebody else has them; counts as spent time


class Group:
    """Runs the rounds of one group. Built contenders in, outcomes out, in the order they end."""

    def __init__(
        self,
        contenders: list[Contender],
        reference: SpinReference,
        progress: Progress,
        *,
        energy: bool = False,
    ) -> None:
        self._racing = contenders
        self._energy = energy  # somebody reads the sensors: energy windows are worth their time
        self._reference = reference
        self._progress = progress

    def rounds(self, seed: int) -> Iterator[tuple[Contender, Outcome]]:
        """Round after round (A B C, C A B, ...) until each contender is done or out of time.

        The order is shuffled anew each round from the stored seed, so that no engine always runs
        after the same other one, whose heat and cache contents it would inherit.
        """
        order = random.Random(seed)
        while self._racing:
            order.shuffle(self._racing)
            for contender in tuple(self._racing):
                failure = self._burst(contender)
                if failure is not None and failure.verdict.is_measured:
                    failure = self._measure_energy(contender) or failure
                if failure is not None:
                    self._racing.remove(contender)
                    yield contender, contender.outcome(failure)

    def _burst(self, contender: Contender) -> Failure | None:
        """One burst; how the trial ended, or None when it goes on."""
        trial = contender.trial
        self._progress.phase(trial, "measuring")
        try:
            report = contender.measure(self._reference.rate)
        except TrialFailed as failed:
            return failed.failure
        burst = report.burst
        self._reference.learn(burst)
        if burst.contended:
            self._progress.contended(trial)
            sleep(_WAIT_FOR_CORES_S)
            contender.spent_s += _WAIT_FOR_CORES_S
        else:
            spent = contender.spent_s / trial.measurement.max_seconds
            rate = burst.images / burst.duration_s
            self._progress.burst(trial, rate, report.half_width, spent)
        if report.done:
            return Failure(Verdict.VALID, "", "")
        if contender.spent_s >= trial.measurement.max_seconds:
            return Failure(Verdict.UNSTABLE, *why_unstable(contender, trial.measurement))
        return None

    def _measure_energy(self, contender: Contender) -> Failure | None:
        """One unbroken window at full load after the bursts; how the trial failed in it, if it did."""
        window_s = contender.trial.measurement.energy_window_s(contender.trial.device)
        if not (self._energy and window_s):
            return None
        self._progress.phase(contender.trial, "measuring energy")
        try:
            contender.measure_energy(window_s)
        except TrialFailed as failed:
            return failed.failure
        return None


def why_unstable(contender: Contender, measurement: Measurement) -> tuple[str, str]:
    """Reason and slug of a trial that ran out of time."""
    lost = contender.lost_bursts
    total = lost + contender.kept_bursts
    stolen = f"{lost} of {total} bursts were lost to other users of the machine"
    few = f"only {total} burst{'s'[: total != 1]} fitted in; raise measure.max_seconds"
    if contender.half_width is None:
        why, slug = (stolen, "contended") if lost else (few, "too-slow")
        return f"No interval after {measurement.max_seconds:g} s: {why}.", slug
    wide = (
        f"The 95 % interval is ±{100 * contender.half_width:.1f} % after {measurement.max_seconds:g} s "
        f"(asked: ±{100 * measurement.target_half_width:g} %)"
    )
    if lost > contender.kept_bursts:
        return f"{wide}; {stolen}.", "contended"
    if contender.half_width <= measurement.target_half_width:  # narrow by luck, of too few
        return f"Too few bursts in {measurement.max_seconds:g} s: {few}.", "too-slow"
    return f"{wide}.", "interval-too-wide"
