"""How near a trial comes to what its device can do: operations a second, and operations a byte.

The roofline model (Williams, Waterman and Patterson, CACM 52(4), 2009): a device cannot do more than its
arithmetic allows, nor more than its memory bandwidth times the operations that each byte is good for.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tensordyno.analysis.peaks import Peak, peak_of
from tensordyno.records.device import DevicePage
from tensordyno.records.model import ModelFacts
from tensordyno.records.outcome import Outcome
from tensordyno.vocabulary import Precision

_BYTES = {Precision.FP16: 2, Precision.BF16: 2, Precision.INT8: 1, Precision.FP8: 1}
_COMPUTES_NOTHING = "null"  # the engine whose networks compute nothing


class Roof(NamedTuple):
    """What one kind of device reaches, measured in this run, and what its vendor says."""

    name: str  # the device's own
    matmul: dict[str, float]  # precision -> operations a second; empty: not measured
    copy: float | None  # bytes a second, read and written
    peak: Peak | None


def roofs(pages: Iterable[DevicePage]) -> dict[str, Roof]:
    """By the device's own name: one that was measured stands for the others of its name."""
    found: dict[str, Roof] = {}
    for page in pages:
        if page.name not in found or (page.ceilings and not found[page.name].matmul):
            found[page.name] = roof(page.name, page)
    return found


def roof(name: str, page: DevicePage | None = None) -> Roof:
    """The roof of a device with this name and, if there is one, this page."""
    ceilings = page.ceilings if page else ()
    return Roof(
        name=name,
        matmul={c.precision: c.rate for c in ceilings if c.what == "matmul"},
        copy=next((c.rate for c in ceilings if c.what == "copy"), None),
        peak=peak_of(name),
    )


def bytes_per_element(precision: str) -> int:
    """Of weights and activations; what an engine keeps in a wider format in between is not known."""
    return _BYTES.get(Precision(precision), 4)


def intensity(model: ModelFacts, precision: str, batch_size: int) -> float | None:
    """Operations a byte, if each layer reads and writes memory once and weights are read once a batch.

    A multiply-accumulate is two operations; `models.traffic` says what a layer reads and writes. None for
    records from before that was counted.
    """
    if not model.activations or not model.macs:
        return None
    elements = model.activations + model.parameters / batch_size
    return 2 * model.macs / (elements * bytes_per_element(precision))


def roofline(outcome: Outcome, images_per_s: float | None, known: dict[str, Roof]) -> dict[str, Any]:
    """A trial's fields of Score about the roofline; `known` are the run's roofs.

    Shares are of the arithmetic alone, and of all the trial's devices together. They are left out where the
    devices differ, or nobody knows the roof.
    """
    model, trial = outcome.model, outcome.trial
    if model is None or not model.macs or trial.engine.name == _COMPUTES_NOTHING:
        return {}
    found: dict[str, Any] = {"intensity": intensity(model, trial.precision, trial.batch_size)}
    if images_per_s:
        rate = 2 * model.macs * images_per_s
        found["operations_per_s"] = rate
        if name := device_of(outcome):
            above = known.get(name) or roof(name)
            each = rate / trial.devices
            found["ceiling_share"] = _share(each, above.matmul.get(trial.precision))
            published = above.peak.operations if above.peak else {}
            found["peak_share"] = _share(each, published.get(trial.precision))
    return found


def device_of(outcome: Outcome) -> str:
    """The own name of a trial's devices; "" when they differ or did not tell."""
    names = {rank.name for rank in outcome.ranks} or {outcome.receipt.device if outcome.receipt else ""}
    return names.pop() if len(names) == 1 else ""


def _share(rate: float, of: float | None) -> float | None:
    return rate / of if of else None
