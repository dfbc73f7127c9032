"""Spec -> trials: every combination of its products, in a stable order, without ids or groups."""

import itertools
import os.path
from collections.abc import Iterator

import msgspec

from tensordyno.models.base import cards
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.spec.schema import ModelChoice, Product, Spec


def expand(spec: Spec) -> Iterator[Trial]:
    """One trial for each combination; the last named of model, batch, ..., engine changes fastest."""
    for product in spec.products():
        for model in product.models:
            yield from _trials_of(product, model, spec.seed)


def _trials_of(product: Product, model: ModelChoice, seed: int) -> Iterator[Trial]:
    dataset = model.dataset or product.dataset or _usual_dataset(model.name)
    weights = model.weights or product.weights
    engines = [_at_home(engine) for engine in product.engines]
    combinations = itertools.product(
        product.batch_sizes,
        product.boundaries,
        product.devices,
        product.allocator,
        product.precisions,
        engines,
    )
    for batch_size, boundary, device, allocator, precision, engine in combinations:
        yield Trial(
            id="",
            task=product.task,
            model=os.path.expanduser(model.name),
            engine=engine,
            precision=precision,
            batch_size=batch_size,
            boundary=boundary,
            device=device,
            dataset=os.path.expanduser(dataset),
            weights=None if weights is None else os.path.expanduser(weights),
            seed=seed,
            threads=product.threads,
            allocator=allocator,
            verify_images=product.verify_images,
            accuracy_images=product.accuracy_images,
            skip_unreadable=product.skip_unreadable,
            measurement=product.measure,
        )


def _at_home(engine: EngineChoice) -> EngineChoice:
    """The engine with '~' in its interpreter's path resolved."""
    if engine.python is None:
        return engine
    return msgspec.structs.replace(engine, python=os.path.expanduser(engine.python))


def _usual_dataset(model: str) -> str:
    """What a network runs on when the spec does not say."""
    card = cards().get(model)
    return card.dataset if card is not None else "synthetic"
