"""Warnings about single trials: their weights, their samples, the conditions they were measured under."""

import math
import re
from collections.abc import Sequence

import numpy as np

from tensordyno.analysis.caution import Warning, about, measured
from tensordyno.analysis.gpu_conditions import DISTURBED
from tensordyno.analysis.order_statistics import fewest_samples
from tensordyno.analysis.scores import Score, kept_bursts
from tensordyno.records.burst import Burst
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Verdict

_LARGE_BATCH = 8  # from which PyTorch's large activations are returned to the kernel after each use
_FEWEST_FOR_CORRELATION = 10


def fake_clock(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Times come from a clock that moves only when told."""
    fake = {o.trial.id for o in run.outcomes if o.trial.measurement.clock == "fake"}
    sentence = "Timed on a fake clock: these numbers test the instrument and measure nothing."
    return about("fake-clock", sentence, [s for s in measured(scores) if s.trial in fake])


def failed(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Something broke."""
    broken = [s for s in scores if s.verdict.is_failure and s.verified is not False]
    return about("failed", f"{_trials(len(broken))} failed; the reason stands beside each.", broken)


def verification_failed(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The answers are wrong, or the precision is not what its label says."""
    wrong = [s for s in scores if s.verified is False]
    sentence = f"{_trials(len(wrong))} did not agree with the strict FP32 reference and are not ranked."
    return about("verification-failed", sentence, wrong)


def unstable(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The stopping rule was not met in time."""
    shaky = [s for s in scores if s.verdict is Verdict.UNSTABLE and s.slug not in DISTURBED]
    sentence = f"{_trials(len(shaky))} did not settle within the time allowed and are not ranked."
    return about("unstable", sentence, shaky)


def random_weights(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Speed is right, answers mean nothing."""
    sentence = "Random weights: speed only."
    return about("random-weights", sentence, [s for s in measured(scores) if s.weights == "random"])


def unreadable_images(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Accuracy was counted without the images that could not be read, as the user asked."""
    concerned = [s for s in scores if s.unreadable_images]
    most = max((s.unreadable_images for s in concerned), default=0)
    sentence = f"{most} image{'' if most == 1 else 's'} could not be read and count in no accuracy."
    return about("unreadable-skipped", sentence, concerned)


def contended(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Other work took the cores away."""
    hit = [s for s in scores if s.contended_bursts]
    lost = sum(s.contended_bursts for s in hit)
    total = lost + sum(s.bursts for s in scores)
    sentence = f"The cores were not free during {lost} of {total} bursts; these were repeated and left out."
    return about("contended", sentence, hit)


def probe_unknown(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Whether the cores were free was not looked at."""
    blind = {
        o.trial.id
        for o in run.outcomes
        if o.trial.measurement.clock == "real" and any(_is_unprobed(b) for b in kept_bursts(o))
    }
    sentence = "No spin probe stands around some bursts: contention would not have been seen."
    return about("probe-unknown", sentence, [s for s in measured(scores) if s.trial in blind])


def correlated_bursts(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Bursts follow a drift, so the interval of their mean is too narrow."""
    drifting = {o.trial.id for o in run.outcomes if _is_drifting(kept_bursts(o))}
    sentence = "Throughput drifted from burst to burst: the interval is narrower than it should be."
    return about("bursts-drift", sentence, [s for s in measured(scores) if s.trial in drifting])


def default_malloc(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """PyTorch on glibc's default settings pays page faults for every large activation."""
    slow = [
        s
        for s in measured(scores)
        if s.engine_name.startswith("torch")
        and s.device == "cpu"
        and s.allocator == "default"
        and s.batch_size >= _LARGE_BATCH
    ]
    sentence = (
        "PyTorch ran with glibc's default malloc, which returns large activations to the kernel after "
        "every use; the allocator 'keep' can make large batches up to twice as fast."
    )
    return about("default-malloc", sentence, slow)


def energy_unknown(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """No energy though it was asked for, with the reason for it, one warning a kind of reason."""
    unasked = {o.trial.id for o in run.outcomes if o.trial.measurement.energy_seconds == 0}
    kinds: dict[str, list[Score]] = {}
    for score in measured(scores):
        if score.joules_per_image is None and score.trial not in unasked:
            kinds.setdefault(re.sub(r"\d[\d.]*", "", score.energy_method), []).append(score)
    found: list[Warning] = []
    for kind in sorted(kinds):
        reasons = sorted({s.energy_method.partition(": ")[2] or "no telemetry" for s in kinds[kind]})
        example = "" if len(reasons) == 1 else ", for example"
        found += about("energy-unknown", f"Energy is unknown{example}: {reasons[0]}.", kinds[kind])
    return found


def too_few_samples(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """A percentile was refused."""
    sentence = f"Fewer than {fewest_samples(99)} batches were timed, so no p99 is claimed."
    return about("too-few-samples", sentence, [s for s in measured(scores) if s.latency_p99_s is None])


def refused(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The engine refused a precision, a device or a network while building."""
    concerned = [s for s in scores if s.verdict is Verdict.UNSUPPORTED]
    return about("refused", f"{_trials(len(concerned))} refused by the engine.", concerned)


def skipped(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Combinations that were asked for and planned away."""
    concerned = [s for s in scores if s.verdict is Verdict.SKIPPED]
    reasons = "; ".join(sorted({s.reason for s in concerned if s.reason})[:3])
    sentence = f"{_trials(len(concerned))} skipped: {reasons}"
    return about("skipped", sentence, concerned)


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _is_unprobed(burst: Burst) -> bool:
    return burst.before is None or burst.after is None


def _is_drifting(bursts: Sequence[Burst]) -> bool:
    """Whether the lag-1 correlation of burst throughputs exceeds three of its standard errors, 1/sqrt(n).

    Bartlett's formula for independent observations (Box & Jenkins, Time Series Analysis, section 2.1.6).
    """
    if len(bursts) < _FEWEST_FOR_CORRELATION:
        return False
    rates = np.array([b.images / b.duration_s for b in bursts])
    centred = rates - rates.mean()
    power = float(centred @ centred)
    if power <= (1e-9 * rates.mean()) ** 2 * len(rates):  # rounding of a perfectly steady engine
        return False
    return float(centred[1:] @ centred[:-1]) / power > 3 / math.sqrt(len(bursts))
