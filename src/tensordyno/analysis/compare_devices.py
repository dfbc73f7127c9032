"""Runs of the same configurations on different devices: how much faster, sooner, and more frugal each is."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from tensordyno.analysis.baseline import Bursts, bursts_of
from tensordyno.analysis.compare import matched
from tensordyno.analysis.environment import Contrast, contrasts
from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.analysis.scores import Score
from tensordyno.analysis.where import device_name
from tensordyno.device import device_kind
from tensordyno.records.base import Record
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Verdict

NOTE = (
    "The intervals hold the variation within each run only. Two machines differ in more than their device: "
    "read what else differs in their environment before you put a ratio down to it. Batch sizes are those of "
    "one device."
)


class Side(Record, frozen=True, kw_only=True):
    """One of the runs that are compared."""

    label: str  # the device's own name, with the run's where two share it
    run: str
    devices: tuple[str, ...]  # names, of all trials
    machine: str  # its processor


class Standing(Record, frozen=True, kw_only=True):
    """One configuration on one side, and how it compares with the first side's; None: cannot be told."""

    score: Score
    ratio: Interval | None = None  # of throughputs
    latency_ratio: float | None = None  # of median latencies: below 1 is sooner
    frugality_ratio: float | None = None  # of images per joule, which is images/s/W


class Contest(Record, frozen=True, kw_only=True):
    """One configuration on every side, in their order; None where that run has no such trial."""

    model: str
    dataset: str
    engine: str
    precision: str
    batch_size: int
    devices: int
    boundary: str
    standings: tuple[Standing | None, ...]


class Mean(Record, frozen=True, kw_only=True):
    """Throughput of one side over the first in one precision, over networks: each network counts once."""

    side: int
    precision: str
    value: float  # geometric mean
    low: float  # smallest and largest ratio of a configuration: no interval
    high: float
    networks: int
    configurations: int


class DeviceComparison(Record, frozen=True, kw_only=True):
    """Everything a reader needs before choosing between devices; the first side is the baseline."""

    sides: tuple[Side, ...]
    contests: tuple[Contest, ...]
    means: tuple[Mean, ...]
    alone: tuple[tuple[str, ...], ...]  # trials of each side that no other matches, by id
    environment: tuple[Contrast, ...]
    note: str = NOTE


def differ(old: Sequence[Score], new: Sequence[Score]) -> bool:
    """Whether the trials that two runs share ran on different devices; of runs that share none, all."""
    pairs, _, _ = matched(old, new, anywhere=True)
    if not pairs:
        return all(_unlike(a, b) for a in _first_of_each(old) for b in _first_of_each(new))
    return any(_unlike(a, b) for a, b in pairs)


def _first_of_each(scores: Sequence[Score]) -> list[Score]:
    """One trial a device."""
    return list({(s.device, s.device_name): s for s in reversed(scores)}.values())


def _unlike(a: Score, b: Score) -> bool:
    kinds = {device_kind(score.device) for score in (a, b)}
    return len(kinds) > 1 or bool(a.device_name and b.device_name and a.device_name != b.device_name)


def compare_devices(runs: Sequence[Run], scores: Sequence[Sequence[Score]]) -> DeviceComparison:
    """Match the trials of each run with those of the first by everything but the device.

    Clocks differ between runs, so each ratio is the unpaired one. Only VALID trials have a ratio; what was
    planned away on both sides is left out.
    """
    bursts = [bursts_of(run) for run in runs]
    partners = [{s.trial: s for s in scores[0]}]
    alone = [{s.trial for s in scores[0]}]
    for others in scores[1:]:
        pairs, _, unmatched = matched(scores[0], others, anywhere=True)
        partners.append({a.trial: b for a, b in pairs})
        alone[0] -= {a.trial for a, _ in pairs}
        alone.append({s.trial for s in unmatched})
    contests = [
        _contest([found.get(first.trial) for found in partners], bursts)
        for first in scores[0]
        if first.trial not in alone[0]
    ]
    asked = [c for c in contests if any(s and s.score.verdict is not Verdict.SKIPPED for s in c.standings)]
    return DeviceComparison(
        sides=_sides(runs, scores),
        contests=tuple(asked),
        means=_means(asked, len(runs)),
        alone=tuple(
            tuple(s.trial for s in mine if s.trial in names and s.verdict is not Verdict.SKIPPED)
            for mine, names in zip(scores, alone, strict=True)
        ),
        environment=contrasts(runs),
    )


def _contest(found: Sequence[Score | None], bursts: Sequence[Bursts]) -> Contest:
    first = found[0]
    assert first is not None
    return Contest(
        model=first.model,
        dataset=first.dataset,
        engine=first.engine,
        precision=first.precision,
        batch_size=first.batch_size,
        devices=first.devices,
        boundary=first.boundary,
        standings=tuple(
            _standing(score, first, bursts[side], bursts[0], against=side > 0) if score else None
            for side, score in enumerate(found)
        ),
    )


def _standing(score: Score, first: Score, mine: Bursts, firsts: Bursts, *, against: bool) -> Standing:
    if not against or score.verdict is not Verdict.VALID or first.verdict is not Verdict.VALID:
        return Standing(score=score)
    ratio = throughput_ratio(mine.get(score.trial, ()), firsts.get(first.trial, ()), one_clock=False)
    return Standing(
        score=score,
        ratio=ratio.interval if ratio else None,
        latency_ratio=_over(_value(score.latency_p50_s), _value(first.latency_p50_s)),
        frugality_ratio=_over(score.images_per_joule, first.images_per_joule),
    )


def _value(interval: Interval | None) -> float | None:
    return interval.value if interval else None


def _over(value: float | None, first: float | None) -> float | None:
    return value / first if value and first else None


def _means(contests: Sequence[Contest], sides: int) -> tuple[Mean, ...]:
    """One a side and precision, in the order of the trials."""
    precisions = dict.fromkeys(c.precision for c in contests)
    means = (
        _mean([c for c in contests if c.precision == precision], side, precision)
        for side in range(1, sides)
        for precision in precisions
    )
    return tuple(mean for mean in means if mean)


def _mean(contests: Iterable[Contest], side: int, precision: str) -> Mean | None:
    """The geometric mean over networks of each one's geometric mean over its configurations.

    The geometric mean is the one that does not depend on which device is the baseline (Fleming & Wallace,
    Communications of the ACM 29, 1986).
    """
    ratios: dict[str, list[float]] = {}
    for contest in contests:
        standing = contest.standings[side]
        if standing and standing.ratio:
            ratios.setdefault(contest.model, []).append(standing.ratio.value)
    if not ratios:
        return None
    every = [ratio for found in ratios.values() for ratio in found]
    return Mean(
        side=side,
        precision=precision,
        value=_geometric([_geometric(found) for found in ratios.values()]),
        low=min(every),
        high=max(every),
        networks=len(ratios),
        configurations=len(every),
    )


def _geometric(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _sides(runs: Sequence[Run], scores: Sequence[Sequence[Score]]) -> tuple[Side, ...]:
    names = [_device_names(run, mine) for run, mine in zip(runs, scores, strict=True)]
    labels = [" and ".join(found) for found in names]
    ways: tuple[Callable[[int], str], ...] = (
        lambda i: labels[i],
        lambda i: f"{labels[i]}, {runs[i].header.run}",
        lambda i: f"{labels[i]}, {runs[i].folder.root.name}",
        lambda i: f"{labels[i]}, run {i + 1}",
    )
    told = next(found for found in _distinct(ways, len(runs)) if len(set(found)) == len(found))
    return tuple(
        Side(label=label, run=run.header.run, devices=found, machine=run.header.machine.cpu)
        for label, run, found in zip(told, runs, names, strict=True)
    )


def _distinct(ways: Iterable[Callable[[int], str]], count: int) -> Iterator[list[str]]:
    return ([way(i) for i in range(count)] for way in ways)


def _device_names(run: Run, scores: Sequence[Score]) -> tuple[str, ...]:
    """What devices call themselves; those of trials that ran, if any did."""
    known = dict.fromkeys(s.device_name for s in scores if s.device_name)
    named = dict.fromkeys(device_name(run.header.machine, s) for s in scores)
    return tuple(known or named or {run.header.machine.cpu: None})
