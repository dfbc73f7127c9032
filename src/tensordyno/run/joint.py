"""One burst out of the bursts of several ranks that began at the same moment."""

import math
from collections.abc import Sequence

import msgspec

from tensordyno.records.burst import Burst, Probe, RankBurst, Warmup
from tensordyno.records.messages import BurstReport

LEAST_OVERLAP = 0.9  # of the longest rank's burst; with less, ranks did not run side by side


def joint(reports: Sequence[BurstReport]) -> BurstReport:
    """The report of all ranks together, in rank order; that of a single rank is returned as it is.

    Each rank's throughput is that of its own stretch, and they are added up: the moments in which some have
    begun their last batch and others have not are no loss of any of them. The joint burst therefore ends when
    that sum says, between the first and the last rank's end. It is contended when any rank's is, or when the
    stretches overlap too little.
    """
    if len(reports) == 1:
        return reports[0]
    bursts = [report.burst for report in reports]
    rate = sum(b.images / b.duration_s for b in bursts if b.images)
    start_s, images = min(b.start_s for b in bursts), sum(b.images for b in bursts)
    burst = Burst(
        start_s=start_s,
        stop_s=start_s + images / rate if rate else start_s,
        batches=sum(b.batches for b in bursts),
        images=images,
        before=_worse([b.before for b in bursts]),
        after=_worse([b.after for b in bursts]),
        contended=any(b.contended for b in bursts) or _overlap(bursts) < LEAST_OVERLAP,
        device_s=_sum([b.device_s for b in bursts]),
        ranks=tuple(_part(b) for b in bursts),
    )
    widths = [report.half_width for report in reports]
    return msgspec.structs.replace(
        reports[0],
        burst=burst,
        latencies_s=tuple(latency for report in reports for latency in report.latencies_s),
        done=all(report.done for report in reports),
        half_width=max((w for w in widths if w is not None), default=None) if None not in widths else None,
        warmup=_together([report.warmup for report in reports]),
    )


def _overlap(bursts: Sequence[Burst]) -> float:
    """The time in which all ran, as a share of the longest burst."""
    longest = max(b.duration_s for b in bursts)
    shared = min(b.stop_s for b in bursts) - max(b.start_s for b in bursts)
    return shared / longest if longest else 0.0


def _worse(probes: Sequence[Probe | None]) -> Probe | None:
    known = [probe for probe in probes if probe is not None]
    return max(known, key=lambda probe: probe.loss) if len(known) == len(probes) else None


def _sum(times_s: Sequence[float | None]) -> float | None:
    known = [time for time in times_s if time is not None]
    return math.fsum(known) if len(known) == len(times_s) else None


def _part(burst: Burst) -> RankBurst:
    return RankBurst(
        start_s=burst.start_s,
        stop_s=burst.stop_s,
        batches=burst.batches,
        images=burst.images,
        device_s=burst.device_s,
    )


def _together(warmups: Sequence[Warmup | None]) -> Warmup | None:
    known = [warmup for warmup in warmups if warmup is not None]
    if not known:
        return None
    return Warmup(
        start_s=min(w.start_s for w in known),
        stop_s=max(w.stop_s for w in known),
        batches=sum(w.batches for w in known),
        settled=all(w.settled for w in known),
    )
