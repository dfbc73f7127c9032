"""What the telemetry itself costs: the same build with the sampler on and off, interleaved."""

from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.records.burst import Burst
from tensordyno.records.reading import Overhead
from tensordyno.run.contender import Contender
from tensordyno.run.contention import SpinReference
from tensordyno.run.watch import Watch

_PAIRS = 8
_ATTEMPTS_PER_PAIR = 3


def measure_overhead(
    contender: Contender, watch: Watch, reference: SpinReference, pairs: int = _PAIRS
) -> Overhead | None:
    """Throughput with the sampler on over throughput with it off, from pairs of neighbouring bursts.

    Pairs begin alternately with on and off, so that a drift of the machine cancels. None when the
    machine was too busy for three clean pairs. Raises TrialFailed.
    """
    kept: dict[bool, list[Burst]] = {True: [], False: []}
    for attempt in range(_ATTEMPTS_PER_PAIR * pairs):
        if len(kept[True]) == pairs:
            break
        order = (True, False) if attempt % 2 else (False, True)
        pair = {on: _burst(contender, watch, reference, on) for on in order}
        if not any(burst.contended for burst in pair.values()):
            for on, burst in pair.items():
                kept[on].append(burst)
    ratio = throughput_ratio(kept[True], kept[False])
    if ratio is None:
        return None
    return Overhead(
        ratio=ratio.interval.value,
        low=ratio.interval.low,
        high=ratio.interval.high,
        rounds=ratio.rounds,
        interval_s=watch.interval_s,
    )


def _burst(contender: Contender, watch: Watch, reference: SpinReference, on: bool) -> Burst:
    """One burst with the sampler on or off."""
    if not on:
        watch.pause()
    try:
        burst = contender.rehearse(reference.rate).burst
    finally:
        watch.resume()
    reference.learn(burst)
    return burst
