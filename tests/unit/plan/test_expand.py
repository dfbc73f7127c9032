import os

from tensordyno.plan.expand import expand
from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.spec.schema import Block, ModelChoice, Spec
from tensordyno.vocabulary import Boundary, Precision

TWO = (EngineChoice(name="torch"), EngineChoice(name="openvino"))


def spec(*models, **more):
    return Spec(**{"models": models or (ModelChoice(name="resnet50"),), "engines": TWO, **more})


def test_every_combination_once_and_engines_change_fastest():
    trials = list(
        expand(
            spec(
                batch_sizes=(1, 8),
                precisions=(Precision.FP32, Precision.BF16),
                boundaries=(Boundary.HOST, Boundary.DEVICE),
                allocator=("default", "keep"),
            )
        )
    )
    assert len(trials) == 2 * 2 * 2 * 2 * 2
    assert [t.engine.name for t in trials[:2]] == ["torch", "openvino"]
    assert [t.precision for t in trials[:4]] == ["fp32", "fp32", "bf16", "bf16"]
    assert {t.batch_size for t in trials[:16]} == {1}


def test_each_block_is_a_product_of_its_own():
    blocks = (
        Block(batch_sizes=(1, 8)),
        Block(models=(ModelChoice(name="vgg16"),), measure=Measurement(min_seconds=1.0)),
    )
    trials = [(t.model, t.batch_size, t.measurement.min_seconds) for t in expand(spec(blocks=blocks))]
    assert trials == [("resnet50", b, 2.0) for b in (1, 1, 8, 8)] + [("vgg16", 1, 1.0)] * 2


def test_settings_reach_every_trial():
    asked = spec(seed=7, threads=2, verify_images=5, accuracy_images=6, skip_unreadable=True)
    for trial in expand(asked):
        assert (trial.seed, trial.threads, trial.verify_images, trial.accuracy_images) == (7, 2, 5, 6)
        assert trial.skip_unreadable


def test_data_come_from_the_model_else_the_spec_else_the_card():
    mine = ModelChoice(name="lenet5_fashion", dataset="synthetic")
    card = ModelChoice(name="lenet5_fashion")
    other = ModelChoice(name="timm:resnet18")
    assert [t.dataset for t in expand(spec(mine, card, other))][::2] == ["synthetic", "fashion", "synthetic"]
    assert {t.dataset for t in expand(spec(card, other, dataset="./photos"))} == {"./photos"}


def test_weights_come_from_the_model_else_the_spec():
    models = (ModelChoice(name="resnet50", weights="a.pt"), ModelChoice(name="vgg16"))
    assert [t.weights for t in expand(spec(*models, weights="b.pt"))][::2] == ["a.pt", "b.pt"]


def test_a_tilde_is_the_home_folder():
    engine = EngineChoice(name="torch", python="~/env/bin/python")
    asked = spec(ModelChoice(name="~/net.onnx"), weights="~/w.pt", dataset="~/photos", engines=(engine,))
    (trial,) = expand(asked)
    home = os.path.expanduser("~")
    found = (trial.model, trial.weights, trial.dataset, trial.engine.python)
    assert found == (f"{home}/net.onnx", f"{home}/w.pt", f"{home}/photos", f"{home}/env/bin/python")
