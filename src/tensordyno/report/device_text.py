"""What the devices are and what they can do: features, published peaks against measured ceilings, shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tensordyno.analysis.peaks import Peak, peak_of
from tensordyno.analysis.roofline import bytes_per_element
from tensordyno.analysis.scores import Score
from tensordyno.figures.labels import Labels, in_order
from tensordyno.records.device import Ceiling, DevicePage
from tensordyno.records.outcome import Outcome
from tensordyno.report import cells
from tensordyno.report.calibration_text import Lines
from tensordyno.store.reader import Run
from tensordyno.units import with_unit
from tensordyno.vocabulary import Precision, Verdict

MOST_SHARES = 120  # rows of the table of shares
_COPIES = {
    "copy": "Copy inside the device",
    "host_to_device": "Host to device",
    "device_to_host": "Device to host",
}


@dataclass(frozen=True)
class DeviceText:
    """What is told of the devices of one name. `facts` are (feature, value) pairs."""

    name: str  # "4 x NVIDIA H200"
    facts: tuple[tuple[str, str], ...]
    ceilings: Lines | None
    shares: Lines | None
    notes: tuple[str, ...]


def devices(run: Run, scores: Sequence[Score]) -> tuple[DeviceText, ...]:
    """One a device name, in the order of the pages; nothing for a run without pages."""
    names = in_order(page.name for page in run.pages)
    return tuple(_told(name, [p for p in run.pages if p.name == name], run, scores) for name in names)


def _told(name: str, pages: Sequence[DevicePage], run: Run, scores: Sequence[Score]) -> DeviceText:
    peak, measured = peak_of(name), next((page for page in pages if page.ceilings), None)
    notes = [
        f"Published figures: {peak.source}." if peak else "",
        f"Measured on {measured.device} before the first trial." if measured else "",
        *_reasons(pages, measured),
    ]
    return DeviceText(
        name=name if len(pages) == 1 else f"{len(pages)} × {name}",
        facts=_facts(pages),
        ceilings=ceilings(measured, peak),
        shares=_shares(run, [s for s in scores if s.device_name == name], Labels(scores)),
        notes=tuple(note for note in notes if note),
    )


def _facts(pages: Sequence[DevicePage]) -> tuple[tuple[str, str], ...]:
    """Where devices of one name differ, each is named with its value."""
    names = in_order(feature for page in pages for feature in page.features)
    found = []
    for name in names:
        told = {page.device: page.features[name] for page in pages if name in page.features}
        alike = len(set(told.values())) == 1 and len(told) == len(pages)
        each = (f"{device}: {value}" for device, value in told.items())
        found.append((name, next(iter(told.values())) if alike else "; ".join(each)))
    return tuple(found)


def _reasons(pages: Iterable[DevicePage], measured: DevicePage | None) -> list[str]:
    """Why nothing was measured; not of those for which another device stands."""
    if measured:
        return []
    return in_order(
        f"{page.device} was not measured: {page.reason.rstrip('.')}." for page in pages if page.reason
    )


def ceilings(page: DevicePage | None, peak: Peak | None) -> Lines | None:
    """Arithmetic by precision, then memory, then the link."""
    measured = {(c.what, c.precision): c for c in page.ceilings} if page else {}
    published = {("matmul", name): rate for name, rate in peak.operations.items()} if peak else {}
    if peak:
        published["copy", ""] = peak.memory
    wanted = [*(("matmul", precision.value) for precision in Precision), *((what, "") for what in _COPIES)]
    rows = [
        _row(*key, published.get(key), measured.get(key))
        for key in wanted
        if key in measured or key in published
    ]
    headings = ("Ceiling", "Published", "Measured", "Measured of published", "Measured by")
    return Lines("What the device reaches", headings, tuple(rows)) if rows else None


def _row(what: str, precision: str, published: float | None, measured: Ceiling | None) -> tuple[str, ...]:
    heading, unit = _COPIES.get(what, f"Matrix product, {precision}"), "B/s" if what in _COPIES else " op/s"
    share = measured.rate / published if measured and published else None
    return (
        heading,
        _rate(published, unit),
        _rate(measured.rate if measured else None, unit),
        cells.percent(share, 1),
        measured.how if measured else cells.UNKNOWN,
    )


def _rate(value: float | None, unit: str) -> str:
    return cells.UNKNOWN if value is None else with_unit(value, unit)


def _shares(run: Run, scores: Sequence[Score], labels: Labels) -> Lines | None:
    """The fastest batch size of each build, with what its network costs."""
    outcomes = {outcome.trial.id: outcome for outcome in run.outcomes}
    fastest: dict[tuple[str, str], Score] = {}
    for score in scores:
        if score.verdict is not Verdict.VALID or not score.operations_per_s:
            continue
        key = labels.panel(score), labels.series(score)
        if key not in fastest or score.operations_per_s > (fastest[key].operations_per_s or 0):
            fastest[key] = score
    rows = [_share(*key, score, outcomes[score.trial]) for key, score in fastest.items()]
    if not rows:
        return None
    caption = "The fastest batch size of each build, and its share of what the device can do"
    if len(rows) > MOST_SHARES:
        caption += f" (the first {MOST_SHARES} of {len(rows)}; all are in trials.csv)"
    headings = (
        *("Network", "Configuration", "Batch", "GMAC/image", "MB/image", "op/byte"),
        *("op/s", "of published", "of measured"),
    )
    return Lines(caption, headings, tuple(rows[:MOST_SHARES]))


def _share(network: str, build: str, score: Score, outcome: Outcome) -> tuple[str, ...]:
    moved = outcome.model.activations * bytes_per_element(score.precision) if outcome.model else 0
    return (
        network,
        build,
        f"{score.batch_size:,}",
        cells.number(score.gmacs),
        cells.number(moved / 1e6 if moved else None),
        cells.number(score.intensity),
        _rate(score.operations_per_s, " op/s"),
        cells.percent(score.peak_share, 1),
        cells.percent(score.ceiling_share, 1),
    )
