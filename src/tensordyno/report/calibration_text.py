"""How the INT8 builds were calibrated, network by network: images, method, what was tried, what was kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tensordyno.figures.labels import in_order
from tensordyno.records.calibration import CalibrationFacts, LayerFacts, MethodScore
from tensordyno.records.outcome import Outcome
from tensordyno.report import cells
from tensordyno.store.reader import Run
from tensordyno.units import with_unit

MOST_DETAILED = 3  # calibrations of one network told one by one; more are summed up
MOST_LAYERS = 12  # named among those kept in FP32


@dataclass(frozen=True)
class Lines:
    """A small table: headings and rows of text."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Calibrated:
    """What is told of one network."""

    name: str
    sentences: tuple[str, ...]
    tables: tuple[Lines, ...] = ()


def calibrations(run: Run) -> tuple[Calibrated, ...]:
    """One a network with a calibration, in the order of the trials."""
    known = [o for o in run.outcomes if o.calibration]
    return tuple(
        _of_model(model, [o for o in known if o.trial.model == model])
        for model in in_order(o.trial.model for o in known)
    )


def _of_model(model: str, outcomes: Sequence[Outcome]) -> Calibrated:
    alike: dict[tuple[Any, ...], list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault(_content(_facts(outcome)), []).append(outcome)
    if len(alike) > MOST_DETAILED:
        return Calibrated(model, (_summed_up([_facts(group[0]) for group in alike.values()]),))
    sentences = [s for group in alike.values() for s in _sentences(group)]
    tables = [t for group in alike.values() for t in _tables(_facts(group[0]))]
    return Calibrated(model, tuple(in_order(sentences)), tuple(tables))


def _facts(outcome: Outcome) -> CalibrationFacts:
    assert outcome.calibration is not None
    return outcome.calibration


def _content(facts: CalibrationFacts) -> tuple[Any, ...]:
    """What makes two calibrations the same, whoever used them."""
    kept = tuple(layer.name for layer in facts.fp32_layers)
    return facts.data_hash, facts.images, facts.batch_size, facts.seed, facts.method, facts.asked_method, kept


def _summed_up(found: Sequence[CalibrationFacts]) -> str:
    methods = cells.listing(in_order(f.method for f in found), 6)
    parts = [
        _span([f.images for f in found], "image", "images"),
        f"read {_span([f.batch_size for f in found])} at a time",
    ]
    if len({f.seed for f in found}) > 1:
        parts.append(f"{len({f.seed for f in found})} draws of images (seeds)")
    data = cells.listing(in_order(f.data for f in found))
    return f"{len(found)} calibrations on images of {data}: by {methods}, on {', '.join(parts)}."


def _span(values: Iterable[int], one: str = "", many: str = "") -> str:
    """'25 images', '25 to 1,250 images'."""
    low, high = min(values := list(values)), max(values)
    text = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{text} {one if high == 1 else many}".strip()


def _sentences(group: Sequence[Outcome]) -> list[str]:
    facts = _facts(group[0])
    drawn = "the first in stored order" if facts.seed == 0 else f"drawn with seed {facts.seed}"
    method = f"{facts.method}, chosen among the methods below" if facts.tried else facts.method
    image = "image" if facts.images == 1 else "images"
    told = [
        f"Ranges by {method}, from {facts.images:,} {image} of {facts.data} ({drawn}, read "
        f"{facts.batch_size} at a time, content {facts.data_hash[:12]}).",
        _reuse(group),
        _placed(facts),
    ]
    return [sentence for sentence in told if sentence]


def _reuse(group: Sequence[Outcome]) -> str:
    """Who ran the images, and who found the table in the cache."""
    seconds = with_unit(_facts(group[0]).seconds, "s")
    ran = in_order(o.trial.engine.label for o in group if not _facts(o).reused)
    reused = [e for e in in_order(o.trial.engine.label for o in group) if e not in ran]
    if not ran:
        return f"The calibration was in the cache: no image was run (making it had taken {seconds})."
    if not reused:
        return f"The pass over the images took {seconds}."
    verb = "reuses" if len(reused) == 1 else "reuse"
    return f"The pass over the images took {seconds}, once: {cells.listing(reused)} {verb} it."


def _placed(facts: CalibrationFacts) -> str:
    total = facts.int8_layers + len(facts.fp32_layers)
    if not facts.fp32_layers:
        return f"All {total} layers with weights are in INT8." if total > 1 else ""
    names = cells.listing([_kept(layer) for layer in facts.fp32_layers], MOST_LAYERS)
    verb = "stays" if len(facts.fp32_layers) == 1 else "stay"
    return f"{facts.int8_layers} of {total} layers with weights are in INT8; in FP32 {verb} {names}."


def _kept(layer: LayerFacts) -> str:
    return f"{layer.name} ({layer.reason})" if layer.reason else layer.name


def _tables(facts: CalibrationFacts) -> list[Lines]:
    if not facts.tried:
        return []
    images = facts.tried[0].images
    return [
        Lines(
            caption=f"Methods tried on {images:,} held back calibration images",
            headings=("Method", "SQNR", "Agrees with FP32", "Top-1 lost, points"),
            rows=tuple(_tried(score, facts.method) for score in facts.tried),
        )
    ]


def _tried(score: MethodScore, chosen: str) -> tuple[str, ...]:
    lost = cells.UNKNOWN if score.drop is None else cells.signed(100 * score.drop)
    name = f"{score.method} (chosen)" if score.method == chosen else score.method
    return name, cells.number(score.sqnr_db, "dB"), cells.percent(score.agreement), lost
