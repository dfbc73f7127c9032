"""The methods paragraph, generated from the records of the run: nothing here is taken on trust."""

from collections.abc import Sequence
from itertools import chain

from tensordyno.analysis.scores import Score
from tensordyno.analysis.verification import BANDS
from tensordyno.records.trial import Measurement
from tensordyno.report import cells
from tensordyno.store.reader import Run
from tensordyno.vocabulary import Boundary, Task

_BOUNDARIES = {
    Boundary.HOST: "from an input array in host memory to a result in host memory (boundary 'host')",
    Boundary.DEVICE: "with input and result on the device, synchronised (boundary 'device')",
}


def methods(run: Run, scores: Sequence[Score]) -> tuple[str, ...]:
    """Paragraphs, each one sentence or more, in the order in which a trial goes."""
    timed = bool(_measurements(run))
    paragraphs = (
        _planning(run),
        _verification(run, scores),
        _calibration(run),
        _timing(run),
        _contention(run),
        _statistics(timed, scores),
        _telemetry(run) if timed else "",
        _weights(scores),
    )
    return tuple(p for p in paragraphs if p)


def _range(values: Sequence[float], unit: str, factor: float = 1.0) -> str:
    """'2 s', or '1 to 2 s' when trials differ."""
    low, high = min(values) * factor, max(values) * factor
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"


def _measurements(run: Run) -> list[Measurement]:
    return [t.measurement for t in run.plan.trials if t.task != Task.ACCURACY]


def _planning(run: Run) -> str:
    groups = [t.group for t in run.plan.trials if t.group and t.task != Task.ACCURACY]
    largest = max((groups.count(g) for g in set(groups)), default=0)
    shuffled = ""
    if largest > 1:
        shuffled = (
            f" Trials that are compared (up to {largest} at a time) were interleaved in rounds, one burst "
            f"each, in an order drawn from seed {run.header.seed}, so that slow changes of the machine meet "
            "all alike."
        )
    return (
        f"Tensordyno {run.header.version} ran each trial in a process of its own: one build of one network "
        f"by one engine at one precision and batch size.{shuffled}"
    )


def _verification(run: Run, scores: Sequence[Score]) -> str:
    images = sorted({o.verification.images for o in run.outcomes if o.verification})
    if not images:
        return ""
    count = cells.listing([str(n) for n in images])
    present = {s.precision for s in scores if s.verified is not None}
    limits = [f"{p.value} {band.least_db:g} dB" for p, band in BANDS.items() if p.value in present]
    return (
        f"Before anything else, each build had to answer like the strict FP32 reference on {count} images: "
        f"signal to quantisation noise of at least {cells.listing(limits, 9)}. A build that failed is "
        "INVALID and not ranked."
    )


def _calibration(run: Run) -> str:
    if not any(o.calibration for o in run.outcomes):
        return ""
    counted = any(o.built and o.built.arithmetic for o in run.outcomes if o.calibration)
    proof = " Each engine's own account of its layers had to show that they run in INT8." if counted else ""
    return (
        "The INT8 builds of a network all come from one calibration: FP32 once over the calibration images, "
        "none of which is a test image, then symmetric ranges, one a channel for weights and one a tensor "
        f"for activations, written as a Q/DQ graph that every engine reads.{proof}"
    )


def _timing(run: Run) -> str:
    rules = _measurements(run)
    if not rules:
        return ""
    asked = dict.fromkeys(t.boundary for t in run.plan.trials if t.task != Task.ACCURACY)
    boundaries = cells.listing([_BOUNDARIES[b] for b in asked])
    warmup = _range([m.warmup_seconds for m in rules], "s")
    burst = _range([m.burst_seconds for m in rules], "s")
    target = _range([m.target_half_width for m in rules], "%", 100)
    least, most = _range([m.min_seconds for m in rules], "s"), _range([m.max_seconds for m in rules], "s")
    return (
        f"Batches were timed {boundaries}. After a warm-up of at least {warmup} that ended when the median "
        f"latency stopped falling, they were timed in bursts of {burst} until the 95 % interval of "
        f"throughput was narrower than ±{target}, for at least {least} and at most {most}; a trial that did "
        "not get there is UNSTABLE and not ranked."
    )


def _contention(run: Run) -> str:
    bursts = list(chain.from_iterable(o.bursts for o in run.outcomes))
    if not any(b.before for b in bursts):
        return ""
    lost = sum(b.contended for b in bursts)
    limit = _range([m.max_probe_loss for m in _measurements(run)] or [0.0], "%", 100)
    return (
        f"A short spin on all used threads before and after each burst showed whether the cores were really "
        f"free; a burst whose probe lost more than {limit} was repeated and left out of every number. "
        f"That happened to {lost:,} of {len(bursts):,} bursts."
    )


def _statistics(timed: bool, scores: Sequence[Score]) -> str:
    speed = (
        "Throughput is images over wall-clock time of the kept bursts; its interval treats bursts as the "
        "independent observations. Latencies are those of single batches; their percentiles have "
        "distribution-free intervals and are refused where too few batches were timed. Ratios are paired by "
        "round. "
    )
    paired = (
        " Differences to FP32 are paired image by image, with the interval of Bonett and Price (2012)."
        if any(s.top1_difference for s in scores)
        else ""
    )
    return f"{speed if timed else ''}Accuracies have Wilson intervals.{paired} All intervals are at 95 %."


def _telemetry(run: Run) -> str:
    overhead = run.overhead
    if overhead is None:
        return "What telemetry cost was not measured in this run." if run.sampler else ""
    return (
        f"Reading the sensors every {1e3 * overhead.interval_s:.0f} ms changed throughput by a factor of "
        f"{overhead.ratio:.4f} (95 % interval {overhead.low:.4f} to {overhead.high:.4f}, {overhead.rounds} "
        "interleaved rounds with the sensors on and off)."
    )


def _weights(scores: Sequence[Score]) -> str:
    random = sorted({s.model for s in scores if s.weights == "random"})
    if not random:
        return ""
    return f"Random weights: speed only, no accuracy. This holds for {cells.listing(random)}."
