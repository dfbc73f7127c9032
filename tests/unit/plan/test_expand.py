import os

from tensordyno.plan.expand import expand
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.spec.schema import Block, CalibrationAxes, ModelChoice, Spec
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


INT8 = (Precision.FP32, Precision.INT8)


def test_int8_is_calibrated_in_every_way_asked_for_and_nothing_else_is():
    axes = CalibrationAxes(
        images=("50x25", "10x5"), methods=("entropy", "mse"), seeds=(0, 3), keep_fp32="auto"
    )
    trials = list(expand(spec(precisions=INT8, calibration=axes, engines=TWO[:1])))
    assert [t.precision for t in trials] == [Precision.FP32, *[Precision.INT8] * 8]
    assert trials[0].calibration is None
    found = [(t.calibration.batches, t.calibration.batch_size, t.calibration.method) for t in trials[1:]]
    assert found[:5] == [
        (50, 25, "entropy"),
        (50, 25, "entropy"),
        (50, 25, "mse"),
        (50, 25, "mse"),
        (10, 5, "entropy"),
    ]
    assert [t.calibration.seed for t in trials[1:]] == [0, 3] * 4
    assert {t.calibration.keep_fp32 for t in trials[1:]} == {"auto"}


def test_engines_still_change_fastest():
    axes = CalibrationAxes(methods=("entropy", "mse"))
    trials = list(expand(spec(precisions=(Precision.INT8,), calibration=axes)))
    assert [(t.calibration.method, t.engine.name) for t in trials] == [
        ("entropy", "torch"),
        ("entropy", "openvino"),
        ("mse", "torch"),
        ("mse", "openvino"),
    ]


def test_every_setting_of_a_calibration_reaches_its_trial():
    axes = CalibrationAxes(data="~/photos", max_drop=0.01, first_layer=False, last_layer=False, keep_fp32=2)
    (calibration,) = {t.calibration for t in expand(spec(precisions=(Precision.INT8,), calibration=axes))}
    assert calibration == Calibration(
        data=f"{os.path.expanduser('~')}/photos",
        max_drop=0.01,
        first_layer=False,
        last_layer=False,
        keep_fp32=2,
    )


def test_images_are_held_out_for_all_precisions_where_int8_needs_them():
    def held_out(**more):
        (found,) = {t.hold_out for t in expand(spec(dataset="./photos", **more))}
        return found

    assert held_out(precisions=INT8)
    assert held_out(precisions=INT8, calibration=CalibrationAxes(data="./photos"))
    assert not held_out(precisions=INT8, calibration=CalibrationAxes(data="./others"))
    assert not held_out(precisions=(Precision.FP32, Precision.BF16))


def test_a_network_changes_the_preprocessing_of_all_key_by_key():
    mine = ModelChoice(name="a.onnx", preprocessing=PreprocessingChange(channels="bgr", resize=None))
    asked = spec(mine, ModelChoice(name="b.onnx"), preprocessing=PreprocessingChange(resize=256, mean=(0.5,)))
    first, second = [t.preprocessing for t in expand(asked)][::2]
    assert first == PreprocessingChange(resize=None, mean=(0.5,), channels="bgr")
    assert second == PreprocessingChange(resize=256, mean=(0.5,))
    assert {t.preprocessing for t in expand(spec())} == {None}
