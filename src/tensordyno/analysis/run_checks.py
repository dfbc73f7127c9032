"""Warnings about a whole run: its end, its machine, its telemetry."""

from collections.abc import Sequence

from tensordyno.analysis.caution import Warning
from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run

_MOST_LATE = 0.05  # of the telemetry samples
_LEAST_OVERHEAD = 0.005  # of the throughput


def unfinished(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The run was cut short, or trials of its plan have no end."""
    ended = {score.trial for score in scores}
    missing = tuple(trial.id for trial in run.plan.trials if trial.id not in ended)
    if run.footer and not run.footer.interrupted and not run.truncated and not missing:
        return []
    how = "was stopped by the user" if run.footer and run.footer.interrupted else "did not come to its end"
    tail = f"; {len(missing)} of {len(run.plan.trials)} trials are missing" if missing else ""
    sentence = f"This run {how}{tail}. Type: dyno run --resume {run.folder.root}"
    return [Warning(slug="unfinished", sentence=sentence, trials=missing)]


def governor(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The kernel may lower the clock while it measures."""
    found = run.header.machine.governor
    if found is None or found == "performance":
        return []
    sentence = f"The CPU's frequency governor is '{found}', not 'performance': clocks move while measuring."
    return [Warning(slug="governor", sentence=sentence)]


def virtual_machine(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Neighbours on the same host act unseen."""
    virtual = run.header.machine.virtual
    if not virtual:
        return []
    sentence = f"This is a virtual machine ({virtual}): its host may lend it less than its cores, unseen."
    return [Warning(slug="virtual-machine", sentence=sentence)]


def telemetry_late(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """The sampler could not keep its schedule."""
    sampler = run.sampler
    if sampler is None or sampler.late <= _MOST_LATE * sampler.samples:
        return []
    sentence = (
        f"{sampler.late} of {sampler.samples} telemetry samples came late, the worst by "
        f"{1e3 * sampler.worst_lateness_s:.0f} ms: short peaks may be missing."
    )
    return [Warning(slug="telemetry-late", sentence=sentence)]


def telemetry_overhead(run: Run, scores: Sequence[Score]) -> list[Warning]:
    """Telemetry itself slowed the engine, beyond doubt and by more than it may."""
    overhead = run.overhead
    if overhead is None or overhead.high >= 1 - _LEAST_OVERHEAD:
        return []
    lost = 100 * (1 - overhead.ratio)
    sentence = f"Telemetry every {1e3 * overhead.interval_s:.0f} ms cost {lost:.1f} % of the throughput."
    return [Warning(slug="telemetry-overhead", sentence=sentence)]
