"""Warnings about GPUs: what slowed them down, who else used them, and how far their energy can be trusted."""

import math
from collections.abc import Collection, Sequence

from tensordyno.analysis.caution import Warning, about, measured
from tensordyno.analysis.energy import Meters
from tensordyno.analysis.gpu_conditions import POWER_CAP, SHARED, THROTTLED, Conditions, GpuReadings
from tensordyno.analysis.ratio import is_kept
from tensordyno.analysis.scores import Score
from tensordyno.records.burst import Burst
from tensordyno.store.reader import Run

# A GPU's own readings of power are good to 5 % of the value (Yang, Adamek and Armour, SC24, over 70 GPUs);
# in a window of 5 s the scatter of 45 readings of a capped H200 adds 1 % (standard deviation 50 W of 700 W).
_MOST_DISAGREEMENT = 0.05
_MOST_IDLE_CHANGE = 0.20
_MOST_CLOCK_DROP = 0.03
_LEAST_LOSS = 0.02  # of the throughput
_LEAST_CAPPED = 0.05  # of the readings; the reason's bit stays up to 0.4 s after a load (seen on an H200)


def throttled(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Heat or hardware slowed a GPU down while it was measured."""
    return _disturbed(run, scores, THROTTLED, "A GPU slowed itself down, by heat or by its hardware, during")


def shared(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Somebody else's work was on a GPU while it was measured."""
    return _disturbed(run, scores, SHARED, "Another process was on the GPU during")


def clock_drift(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The clock at the end of a trial was not the one it began with."""
    drifted = [
        (score, seen) for score, seen in _seen(run, scores) if (seen.clock_drop or 0.0) > _MOST_CLOCK_DROP
    ]
    if not drifted:
        return []
    worst = max((seen for _, seen in drifted), key=lambda seen: seen.clock_drop or 0.0)
    rise = worst.temperature_rise_c
    heat = f", while it grew {rise:.0f} °C warmer" if rise is not None and rise >= 1 else ""
    sentence = (
        f"The GPU's clock fell by {100 * (worst.clock_drop or 0.0):.0f} % from the first to the last third "
        f"of a trial{heat}: longer trials would be slower."
    )
    return about("clock-drift", sentence, [score for score, _ in drifted])


def power_capped(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The power limit set the clock, which is normal on large GPUs and decides the numbers."""
    capped = [
        (score, seen)
        for score, seen in _seen(run, scores)
        if seen.reasons.get(POWER_CAP, 0.0) > _LEAST_CAPPED
    ]
    if not capped:
        return []
    share = max(seen.reasons[POWER_CAP] for _, seen in capped)
    limits = sorted({f"{s.power_limit_w / s.devices:.0f} W" for s, _ in capped if s.power_limit_w})
    limit = f" of {limits[0]}" if len(limits) == 1 else ""
    sentence = (
        f"The power limit{limit} set the GPU's clock in up to {100 * share:.0f} % of the time"
        f"{_fallen([seen for _, seen in capped])}: normal under full load, and part of the result."
        f"{_sustained(run, {score.trial for score, _ in capped})}"
    )
    return about("power-capped", sentence, [score for score, _ in capped])


def energy_disagreement(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Energy counter and power readings of one window tell different stories."""
    off = [s for s in measured(scores) if abs(s.energy_disagreement or 0.0) > _MOST_DISAGREEMENT]
    worst = max((s.energy_disagreement or 0.0 for s in off), key=abs, default=0.0)
    sentence = (
        f"The integral of power is up to {100 * abs(worst):.0f} % {'above' if worst > 0 else 'below'} the "
        "energy counter over the same window; one of the sensors is wrong by that much."
    )
    return about("energy-disagreement", sentence, off)


def idle_moved(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Idle power after the run was not what it had been before."""
    if not run.idle:
        return []
    moved = [
        f"{one.device} from {one.before_w:.0f} to {one.after_w:.0f} W"
        for one in Meters.of(run).idle
        if one.before_w is not None and one.after_w is not None and abs(one.moved or 0) > _MOST_IDLE_CHANGE
    ]
    if not moved:
        return []
    sentence = (
        f"Idle power changed between the beginning and the end of the run ({', '.join(moved)}): "
        "energies without idle use the mean."
    )
    return [Warning(slug="idle-moved", sentence=sentence)]


def _disturbed(run: Run, scores: Sequence[Score], slug: str, sentence: str) -> list[Warning]:
    hit = [score for score, seen in _seen(run, scores) if slug in seen.disturbances()]
    trials = f"{len(hit)} trial{'' if len(hit) == 1 else 's'}"
    return about(slug, f"{sentence} {trials}; their numbers are not ranked.", hit)


def _seen(run: Run, scores: Sequence[Score]) -> list[tuple[Score, Conditions]]:
    """The measured trials whose conditions are known."""
    on_gpu = {score.trial: score for score in measured(scores) if score.device.startswith("cuda")}
    if not on_gpu:
        return []
    readings = GpuReadings(run)
    found = ((on_gpu[o.trial.id], readings.conditions(o)) for o in run.outcomes if o.trial.id in on_gpu)
    return [(score, seen) for score, seen in found if seen is not None]


def _sustained(run: Run, trials: Collection[str]) -> str:
    """How much slower the unbroken energy windows were than the bursts, which let the GPU rest."""
    losses = [
        1 - window.images / window.duration_s / rate
        for outcome in run.outcomes
        if outcome.trial.id in trials
        and (window := outcome.energy_window)
        and window.duration_s > 0
        and (rate := _burst_rate(outcome.bursts))
    ]
    worst = max(losses, default=0.0)
    if worst < _LEAST_LOSS:
        return ""
    return (
        f" Without rest between bursts throughput was up to {100 * worst:.1f} % lower (energy windows of "
        "5 s): expect that of a server that never idles."
    )


def _burst_rate(bursts: Sequence[Burst]) -> float | None:
    """Images per second, the mean over the kept bursts."""
    rates = [b.images / b.duration_s for b in bursts if is_kept(b)]
    return math.fsum(rates) / len(rates) if rates else None


def _fallen(seen: Sequence[Conditions]) -> str:
    """How far the clock fell at most, against the highest that the run saw of that GPU."""
    falls = [(s.sm_clock_hz, s.highest_clock_hz) for s in seen if s.sm_clock_hz and s.highest_clock_hz]
    if not falls:
        return ""
    mean_hz, highest_hz = min(falls, key=lambda fall: fall[0] / fall[1])
    return f" (down to {mean_hz / 1e6:.0f} of {highest_hz / 1e6:.0f} MHz)"
