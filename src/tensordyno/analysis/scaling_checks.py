"""Warnings about trials on several devices: unlike devices, and throughput that got lost between them."""

from collections.abc import Sequence

from tensordyno.analysis.caution import Warning, about, measured
from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run

MOST_SPREAD = 0.05  # fastest over slowest device, minus 1
LEAST_EFFICIENCY = 0.90


def gpu_differs(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Devices that should be alike are not: one is hotter, capped, shared, or behind a slower link."""
    found = [s for s in measured(scores) if s.device_spread is not None and s.device_spread > MOST_SPREAD]
    if not found:
        return []
    worst = max(found, key=lambda s: s.device_spread or 0.0)
    rates, gap = worst.images_per_s_per_device, 100 * (worst.device_spread or 0.0)
    sentence = (
        f"Devices that measured together differ in throughput by more than {100 * MOST_SPREAD:.0f} %: in "
        f"{worst.trial} number {rates.index(max(rates))} is {gap:.1f} % faster than "
        f"number {rates.index(min(rates))}."
    )
    return about("gpu-differs", sentence, found)


def scaling_poor(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Certainly less than nine tenths of what as many single devices would reach.

    Ranks on a CPU that take whatever cores there are divide one device: nothing is lost by that.
    """
    found = [
        s
        for s in measured(scores)
        if s.scaling_efficiency is not None
        and s.scaling_efficiency.high < LEAST_EFFICIENCY
        and not _shares_cores(run, s)
    ]
    if not found:
        return []
    worst = min(found, key=lambda s: s.scaling_efficiency.value if s.scaling_efficiency else 1.0)
    assert worst.scaling_efficiency is not None
    sentence = (
        f"Several devices reach less than {100 * LEAST_EFFICIENCY:.0f} % of what as many single ones would: "
        f"{100 * worst.scaling_efficiency.value:.1f} % in {worst.trial}."
    )
    return about("scaling-poor", sentence, found)


def _shares_cores(run: Run, score: Score) -> bool:
    asked = {trial.id: trial.threads for trial in run.plan.trials}
    return score.device == "cpu" and asked.get(score.trial) is None
