"""Spec -> trials: every combination of its products, in a stable order, without ids or groups."""

import itertools
import os.path
from collections.abc import Iterator

import msgspec

from tensordyno.models.base import cards
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.spec.calibration_text import parse_images
from tensordyno.spec.schema import CalibrationAxes, ModelChoice, Product, Spec
from tensordyno.vocabulary import Precision


def expand(spec: Spec) -> Iterator[Trial]:
    """One trial for each combination; the last named of model, batch, ..., engine changes fastest."""
    for product in spec.products():
        for model in product.models:
            yield from _trials_of(product, model, spec.seed)


def _trials_of(product: Product, model: ModelChoice, seed: int) -> Iterator[Trial]:
    dataset = model.dataset or product.dataset or _usual_dataset(model.name)
    weights = model.weights or product.weights
    engines = [_at_home(engine) for engine in product.engines]
    arithmetics = [(p, c) for p in product.precisions for c in _calibrations(p, product.calibration)]
    combinations = itertools.product(
        product.batch_sizes,
        product.boundaries,
        product.devices,
        product.gpus,
        product.allocator,
        arithmetics,
        engines,
    )
    for batch_size, boundary, device, count, allocator, (precision, calibration), engine in combinations:
        yield Trial(
            id="",
            task=product.task,
            model=os.path.expanduser(model.name),
            engine=engine,
            precision=precision,
            batch_size=batch_size,
            boundary=boundary,
            device=device,
            devices=count,
            dataset=os.path.expanduser(dataset),
            weights=None if weights is None else os.path.expanduser(weights),
            seed=seed,
            threads=product.threads,
            allocator=allocator,
            verify_images=product.verify_images,
            accuracy_images=product.accuracy_images,
            skip_unreadable=product.skip_unreadable,
            calibration=calibration,
            hold_out=_holds_out(product, dataset),
            preprocessing=_look(product, model),
            measurement=product.measure,
        )


def _calibrations(precision: Precision, axes: CalibrationAxes) -> list[Calibration | None]:
    """Every calibration that a spec asks for where the precision needs one.

    Whether a network holds its ranges already shows only when its file is read: INT8 always brings a
    calibration, and the worker leaves it aside for such a network.
    """
    if precision is not Precision.INT8:
        return [None]
    return [
        Calibration(
            data=None if axes.data is None else os.path.expanduser(axes.data),
            batches=batches,
            batch_size=size,
            method=method,
            seed=seed,
            keep_fp32=axes.keep_fp32,
            max_drop=axes.max_drop,
            first_layer=axes.first_layer,
            last_layer=axes.last_layer,
        )
        for batches, size in map(parse_images, axes.images)
        for method in axes.methods
        for seed in axes.seeds
    ]


def _holds_out(product: Product, dataset: str) -> bool:
    """Whether images are set aside to calibrate on; then for every precision, so that all answer the same."""
    return Precision.INT8 in product.precisions and product.calibration.data in (None, dataset)


def _look(product: Product, model: ModelChoice) -> PreprocessingChange | None:
    """What the network's own key changes, over what the spec changes for all."""
    changes = [look.wanted() for look in (product.preprocessing, model.preprocessing) if look is not None]
    return PreprocessingChange(**{k: v for change in changes for k, v in change.items()}) if changes else None


def _at_home(engine: EngineChoice) -> EngineChoice:
    """The engine with '~' in its interpreter's path resolved."""
    if engine.python is None:
        return engine
    return msgspec.structs.replace(engine, python=os.path.expanduser(engine.python))


def _usual_dataset(model: str) -> str:
    """What a network runs on when the spec does not say."""
    card = cards().get(model)
    return card.dataset if card is not None else "synthetic"
