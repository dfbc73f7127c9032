import msgspec
import pytest

from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.spec.schema import Block, ModelChoice, Product, Spec
from tensordyno.vocabulary import Precision

MODELS = (ModelChoice(name="resnet50"),)
ENGINES = (EngineChoice(name="torch"),)


def test_without_blocks_the_top_level_is_the_only_product():
    spec = Spec(models=MODELS, engines=ENGINES, batch_sizes=(1, 8))
    assert spec.products() == (Product(models=MODELS, engines=ENGINES, batch_sizes=(1, 8)),)


def test_a_block_keeps_what_it_does_not_set():
    quick = Measurement(min_seconds=1.0)
    spec = Spec(
        models=MODELS,
        engines=ENGINES,
        dataset="fashion",
        blocks=(Block(batch_sizes=(32,), dataset=None), Block(precisions=(Precision.BF16,), measure=quick)),
    )
    first, second = spec.products()
    assert first == Product(models=MODELS, engines=ENGINES, batch_sizes=(32,), dataset=None)
    assert second.dataset == "fashion" and second.batch_sizes == (1,)
    assert second.precisions == (Precision.BF16,) and second.measure == quick


def test_a_block_can_change_everything_a_product_has():
    assert Block.__struct_fields__ == Product.__struct_fields__
    assert Block().changes() == {}


def test_a_spec_is_immutable():
    with pytest.raises(AttributeError):
        Spec().seed = 1
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"sed": 1}, Spec)
