"""The comparison table: every trial a row, measured or not, with the reason where it was not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tensordyno.analysis.baseline import Relative
from tensordyno.analysis.scores import Interval, Score
from tensordyno.figures.labels import Labels, in_order, points
from tensordyno.figures.style import engine_colour
from tensordyno.report import cells
from tensordyno.units import with_unit
from tensordyno.vocabulary import Verdict


@dataclass(frozen=True)
class Heading:
    """A column: its title, what it means, and whether it holds numbers."""

    title: str
    meaning: str
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by."""

    text: str
    key: float | str


@dataclass(frozen=True)
class TrialRow:
    """One trial: what was asked, how it ended, what was found, in the order of `headings`."""

    trial: str
    asked: tuple[Cell, ...]
    found: tuple[Cell, ...]  # empty when nothing was measured; then the reason stands there
    colour: str
    verdict: Verdict
    verdict_text: str
    reason: str
    slug: str


@dataclass(frozen=True)
class TrialTable:
    """The table without the columns in which no trial has anything."""

    asked: tuple[Heading, ...]
    found: tuple[Heading, ...]
    rows: tuple[TrialRow, ...]

    @property
    def headings(self) -> tuple[Heading, ...]:
        """All columns; the verdict stands between what was asked and what was found."""
        return (*self.asked, *self.found)


_ASKED = (
    Heading("Network", "Model that was run", numeric=False),
    Heading("Engine", "Engine with its options", numeric=False),
    Heading("Precision", "Number format of the arithmetic, verified", numeric=False),
    Heading("Batch", "Images in one batch"),
    Heading("Verdict", "How the trial ended", numeric=False),
)


def _found(baseline: str) -> tuple[Heading, ...]:
    return (
        Heading("Images/s", "Throughput with the half-width of its 95 % interval"),
        Heading("p50", "Median latency of one batch"),
        Heading("p99", "99th percentile of latency; a dash where too few batches were timed"),
        Heading(f"× {baseline}", "Throughput relative to the baseline in FP32"),
        Heading("Speed-up", "Throughput relative to the same build on one device"),
        Heading("Efficiency", "Speed-up over the number of devices; the batch size is that of one device"),
        Heading("Top-1", "Share of labelled images classified correctly, with its 95 % interval"),
        Heading("Δ top-1", "Top-1 minus that of FP32 on the same images, in points; intervals stand below"),
        Heading("Power", "Mean power of the trial's devices, all together"),
        Heading("Energy", "Energy of one image"),
        Heading("First result", "From a bare interpreter to the first result"),
        Heading("Bursts", "Bursts kept, and in brackets those repeated because the cores were not free"),
    )


def trial_table(scores: Sequence[Score], ratios: Mapping[str, Relative], baseline: str) -> TrialTable:
    """By network in order of appearance, then batch size, then speed; what was not measured comes last."""
    labels = Labels(scores)
    networks = {model: i for i, model in enumerate(in_order(s.model for s in scores))}
    place = {panel: i for i, panel in enumerate(in_order(map(labels.panel, scores)))}
    ordered = sorted(
        scores,
        key=lambda s: (
            networks[s.model],
            place[labels.panel(s)],
            not s.verdict.is_measured,
            s.batch_size,
            -(s.images_per_s.value if s.images_per_s else 0.0),
            s.trial,
        ),
    )
    rows = [_row(score, labels, ratios.get(score.trial)) for score in ordered]
    found = _found(baseline)
    kept = [i for i in range(len(found)) if any(r.found and r.found[i].text != cells.UNKNOWN for r in rows)]
    return TrialTable(
        asked=_ASKED,
        found=tuple(found[i] for i in kept),
        rows=tuple(replace(r, found=tuple(r.found[i] for i in kept)) if r.found else r for r in rows),
    )


def _row(score: Score, labels: Labels, relative: Relative | None) -> TrialRow:
    network, engine = labels.panel(score), labels.engine(score)
    calibration = labels.calibration(score)
    precision = f"{score.precision} ({calibration})" if calibration else score.precision
    return TrialRow(
        trial=score.trial,
        asked=(
            Cell(network, network),
            Cell(engine, engine),
            Cell(precision, precision),
            Cell(str(score.batch_size), score.batch_size),
        ),
        found=_numbers(score, relative) if score.verdict.is_measured else (),
        colour=engine_colour(score.engine_name),
        verdict=score.verdict,
        verdict_text=cells.verdict(score.verdict),
        reason=score.reason,
        slug=score.slug,
    )


def _numbers(score: Score, relative: Relative | None) -> tuple[Cell, ...]:
    """In the order of `_found`."""
    energy, start = score.joules_per_image, score.time_to_first_inference_s
    bursts = f"{score.bursts} (+{score.contended_bursts})" if score.contended_bursts else str(score.bursts)
    start, loss = start if score.is_timed else None, score.top1_difference
    gain, power = score.speedup, score.power_w
    return (
        Cell(cells.rate(score.images_per_s), _key(score.images_per_s)),
        Cell(cells.duration(score.latency_p50_s), _key(score.latency_p50_s)),
        Cell(cells.duration(score.latency_p99_s), _key(score.latency_p99_s)),
        Cell(cells.ratio(relative), _key(relative.ratio.interval if relative else None)),
        Cell(cells.UNKNOWN if gain is None else f"{gain.value:.2f}×", _key(gain)),
        Cell(cells.share(score.scaling_efficiency, 1), _key(score.scaling_efficiency)),
        Cell(cells.share(score.top1), _key(score.top1)),
        Cell(points(loss.value) if loss else cells.UNKNOWN, _loss(loss)),
        Cell(cells.UNKNOWN if power is None else with_unit(power, "W"), _known(power)),
        Cell(cells.UNKNOWN if energy is None else with_unit(energy, "J"), _known(energy)),
        Cell(cells.duration(start), _known(start)),
        Cell(bursts if score.is_timed else cells.UNKNOWN, score.bursts),
    )


def _loss(difference: Interval | None) -> float:
    """Differences may be negative, and what is unknown sorts last: shifted so that all are positive."""
    return _known(1.0 + difference.value if difference else None)


def _key(interval: Interval | None) -> float:
    return _known(interval.value if interval else None)


def _known(value: float | None) -> float:
    """What is unknown sorts last: no measured quantity here is negative."""
    return -1.0 if value is None else float(f"{value:.7g}")


def tally(scores: Sequence[Score]) -> str:
    """'42 trials: 39 valid, 1 unstable, 1 invalid, 1 crashed; 6 skipped'."""
    counts = {verdict: sum(s.verdict is verdict for s in scores) for verdict in Verdict}
    skipped = counts.pop(Verdict.SKIPPED)
    ended = ", ".join(f"{n:,} {cells.verdict(v)}" for v, n in counts.items() if n)
    total = sum(counts.values())
    text = f"{total:,} trial{'' if total == 1 else 's'}"
    return f"{text}{f': {ended}' if ended else ''}{f'; {skipped:,} skipped' if skipped else ''}"
