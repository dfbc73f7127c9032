"""What several devices make of one trial: each one's own throughput, speed-up and efficiency.

The batch size is that of one device, so N devices work on N batches at a time (weak scaling): nothing is
divided among them, and a perfect machine gives N times the throughput of one device.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tensordyno.analysis.ratio import is_kept, throughput_ratio
from tensordyno.records.burst import Burst
from tensordyno.records.outcome import Outcome
from tensordyno.records.trial import Measurement, Trial
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Verdict


def scaling(run: Run) -> dict[str, dict[str, Any]]:
    """The fields of Score that only trials on several devices have, by trial id.

    `images_per_s_per_device`, `device_spread`; `speedup` and `scaling_efficiency` where the same build was
    VALID on one device of the same run. Nothing is said of a trial that was not measured.
    """
    several = [o for o in run.outcomes if o.trial.devices > 1 and o.verdict.is_measured]
    if not several:
        return {}
    single = {_build(o.trial): o for o in run.outcomes if _is_reference(o)}
    return {o.trial.id: of_devices(o.bursts) | _gain(o, single.get(_build(o.trial))) for o in several}


def of_devices(bursts: Iterable[Burst]) -> dict[str, Any]:
    """`images_per_s_per_device` and `device_spread` of a trial with these bursts; empty for one device."""
    rates = device_rates(bursts)
    if not rates:
        return {}
    return {"images_per_s_per_device": rates, "device_spread": spread_of(rates)}


def device_rates(bursts: Iterable[Burst]) -> tuple[float, ...]:
    """Throughput of each rank in images per second, the mean over the kept bursts, in rank order.

    Each rank is timed by its own clock reading: it ends with its last batch, not with the slowest rank's.
    Empty for a single device, and where no burst was kept.
    """
    table = [[rank.images_per_s for rank in burst.ranks] for burst in bursts if is_kept(burst)]
    return tuple(math.fsum(rates) / len(rates) for rates in zip(*table, strict=False))


def spread_of(rates: Sequence[float]) -> float | None:
    """Fastest over slowest, minus 1: 0 when all are alike; None when one did nothing."""
    return max(rates) / min(rates) - 1 if rates and min(rates) > 0 else None


def efficiency(speedup: Interval, devices: int) -> Interval:
    """Speed-up over the number of devices: 1 when none is lost (Amdahl's ideal for weak scaling)."""
    return speedup.scaled(1 / devices)


def _gain(outcome: Outcome, reference: Outcome | None) -> dict[str, Any]:
    """Paired by round where both were interleaved, from the means of the bursts otherwise."""
    ratio = reference and throughput_ratio(outcome.bursts, reference.bursts)
    if not ratio:
        return {}
    share = efficiency(ratio.interval, outcome.trial.devices)
    return {"speedup": ratio.interval, "scaling_efficiency": share}


def _is_reference(outcome: Outcome) -> bool:
    return outcome.trial.devices == 1 and outcome.verdict is Verdict.VALID


def _build(trial: Trial) -> bytes:
    """What must be equal: all but the name, the number of devices and the stopwatch.

    The first device is a part of it: cuda:0 alone is compared with those that begin at cuda:0.
    """
    asked = msgspec.structs.replace(trial, id="", group="", devices=1, measurement=Measurement())
    return msgspec.json.encode(asked, order="sorted")
