"""A comparison as content, independent of its format: words, tables and drawings about several devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tensordyno
from tensordyno.analysis.compare_devices import Contest, DeviceComparison, Mean, Standing
from tensordyno.analysis.environment import Contrast
from tensordyno.figures.base import Empty
from tensordyno.figures.compared import Panels
from tensordyno.figures.compared_batches import MEMBER as BATCHES
from tensordyno.figures.compared_ratios import MEMBER as RATIOS
from tensordyno.report import cells
from tensordyno.report.calibration_text import Lines
from tensordyno.report.drawings import Drawing, drawing
from tensordyno.units import with_unit

MOST_ROWS = 1000
MOST_NAMED = 40  # trials that only one side ran
_CHARTS = {"compared-ratios": RATIOS, "compared-batches": BATCHES}


@dataclass(frozen=True)
class Chapter:
    """A heading with what stands under it, in this order."""

    anchor: str
    heading: str
    short: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Lines, ...] = ()
    text_columns: int = 1  # of each table; the others hold numbers
    figures: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedDocument:
    """Everything a reader may see of a comparison."""

    title: str
    headline: str
    started: str
    meta: str
    version: str
    drawings: dict[str, Drawing]
    outline: tuple[Chapter, ...]


def compared_document(found: DeviceComparison) -> ComparedDocument:
    """Words, tables and drawings of a comparison.

    Raises MissingPackage when Altair is not installed.
    """
    drawings = {name: made for name, member in _CHARTS.items() if (made := _drawn(name, found))}
    return ComparedDocument(
        title=f"{cells.listing([s.label for s in found.sides[1:]])} against {found.sides[0].label}",
        headline=headline(found),
        started=f"{len(found.sides)} runs",
        meta="; ".join(f"{side.label}: run {side.run} on {side.machine}" for side in found.sides),
        version=tensordyno.__version__,
        drawings=drawings,
        outline=tuple(_chapters(found, tuple(drawings))),
    )


def _drawn(name: str, found: DeviceComparison) -> Drawing | None:
    member = _CHARTS[name]
    data = member.data(found) if found.contests else Empty("No configuration is in two runs.", expected=False)
    return drawing(name, member, data)


def headline(found: DeviceComparison) -> str:
    """'NVIDIA H200 does 12.5 times the images per second of NVIDIA T4 in fp16 and 6.6 times in fp32.'"""
    first = found.sides[0].label
    parts = []
    for side in range(1, len(found.sides)):
        means = [mean for mean in found.means if mean.side == side]
        if means:
            told = [f"{cells.number(mean.value)} times in {mean.precision}" for mean in means]
            told[0] = told[0].replace(" times in", f" times the images per second of {first} in")
            parts.append(f"{found.sides[side].label} does {cells.listing(told)}")
    if not found.contests:
        return (
            "The runs share no configuration: no network, engine, precision and batch size is in two of them."
        )
    if not parts:
        return "No configuration is VALID on two of the devices: there is no ratio."
    return f"{'; '.join(parts)} (geometric means over networks)."


def _chapters(found: DeviceComparison, drawn: tuple[str, ...]) -> Iterable[Chapter]:
    yield from _contested(found, drawn) if found.contests else ()
    yield Chapter(
        "environment",
        "What else differs",
        "Environment",
        paragraphs=(found.note,),
        tables=tuple(_environment(found)),
        text_columns=1 + len(found.sides),
    )
    alone = tuple(_alone(found))
    if alone:
        yield Chapter("alone", "Only in one run", "Only in one", listed=alone)


def _contested(found: DeviceComparison, drawn: tuple[str, ...]) -> Iterable[Chapter]:
    """What can be compared, where anything can."""
    yield Chapter(
        "answer",
        "The answer",
        "Answer",
        paragraphs=(
            f"Throughput over that of {found.sides[0].label} with the same engine, precision and batch size.",
        ),
        tables=(_means(found),) if found.means else (),
        text_columns=2,
        figures=drawn,
    )
    yield Chapter(
        "configurations",
        "Every configuration",
        "Configurations",
        paragraphs=(
            "Brackets and ± are 95 % intervals. Times p50 below 1 answers sooner; times images per joule, "
            "which is images/s/W, above 1 needs less energy.",
            *_left_out(found),
        ),
        tables=tuple(t for side in range(1, len(found.sides)) if (t := _configurations(found, side)).rows),
        text_columns=3,
    )


def _means(found: DeviceComparison) -> Lines:
    return Lines(
        caption="Geometric mean over networks, each network counted once",
        headings=(
            "Device",
            "Precision",
            "Times the first",
            "Smallest",
            "Largest",
            "Networks",
            "Configurations",
        ),
        rows=tuple(_mean(found, mean) for mean in found.means),
    )


def _mean(found: DeviceComparison, mean: Mean) -> tuple[str, ...]:
    ratios = (f"{cells.number(value)}×" for value in (mean.value, mean.low, mean.high))
    counts = str(mean.networks), str(mean.configurations)
    return (found.sides[mean.side].label, mean.precision, *ratios, *counts)


def _left_out(found: DeviceComparison) -> tuple[str, ...]:
    if len(found.contests) <= MOST_ROWS:
        return ()
    return (f"The first {MOST_ROWS:,} of {len(found.contests):,}; all are in comparison.json.",)


def _configurations(found: DeviceComparison, side: int) -> Lines:
    """A row a configuration that this side ran too; columns in which nothing is known are left out."""
    panels = Panels(found.contests)
    first, mine = found.sides[0].label, found.sides[side].label
    headings = (
        *("Network", "Engine", "Precision", "Batch"),
        *(f"Images/s, {first}", f"Images/s, {mine}", "Times", "p50, times", "Images/J, times"),
    )
    rows = [
        _row(contest, standing, panels)
        for contest in found.contests[:MOST_ROWS]
        if (standing := contest.standings[side])
    ]
    kept = [i for i in range(len(headings)) if any(row[i] != cells.UNKNOWN for row in rows)]
    return Lines(
        caption=f"{mine} against {first}",
        headings=tuple(headings[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
    )


def _row(contest: Contest, standing: Standing, panels: Panels) -> tuple[str, ...]:
    return (
        *(panels.network(contest), contest.engine, contest.precision, str(contest.batch_size)),
        *(_rate(contest.standings[0]), _rate(standing), cells.times(standing.ratio)),
        *(cells.number(standing.latency_ratio), cells.number(standing.frugality_ratio)),
    )


def _rate(standing: Standing | None) -> str:
    """Throughput, or how the trial ended."""
    if standing is None:
        return cells.UNKNOWN
    score = standing.score
    return cells.rate(score.images_per_s) if score.verdict.is_measured else cells.verdict(score.verdict)


def _environment(found: DeviceComparison) -> Iterable[Lines]:
    captions = {True: "What moves throughput most", False: "The rest"}
    for weighty, caption in captions.items():
        rows = [contrast for contrast in found.environment if contrast.weighty is weighty]
        if rows:
            headings = ("Fact", *(side.label for side in found.sides))
            yield Lines(caption=caption, headings=headings, rows=tuple(map(_contrast, rows)))


def _contrast(contrast: Contrast) -> tuple[str, ...]:
    name = contrast.what.replace("_", " ")
    if contrast.what.endswith("_bytes"):
        return (name.removesuffix(" bytes"), *(_bytes(value) for value in contrast.values))
    return (name, *contrast.values)


def _bytes(value: str) -> str:
    return with_unit(float(value), "B") if value.isdecimal() else value


def _alone(found: DeviceComparison) -> Iterable[str]:
    for side, trials in zip(found.sides, found.alone, strict=True):
        if trials:
            yield f"{side.label}: {_named(trials)}."


def _named(trials: Sequence[str]) -> str:
    more = len(trials) - MOST_NAMED
    return ", ".join(trials[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
