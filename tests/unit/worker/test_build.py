"""Receipt, build, verification and accuracy with the null engine on a network of known answers."""

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from tensordyno.errors import UnknownName, UsageError
from tensordyno.records.messages import BuildOrder, BurstOrder
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.vocabulary import Precision, WeightsKind
from tensordyno.worker.build import Build

CLASSES, IMAGES = 4, 12


@pytest.fixture
def data(tmp_path):
    """Grey images whose value is their class, and a network that sees it in 9 of 12 of them."""
    labels = np.arange(IMAGES) % CLASSES
    pixels = np.repeat(labels.astype(np.uint8) * 50 + np.arange(IMAGES, dtype=np.uint8), 4)
    np.savez(tmp_path / "data.npz", images=pixels.reshape(IMAGES, 2, 2), labels=labels)
    return tmp_path / "data.npz"


@pytest.fixture
def prepared(tmp_path, data):
    """The folder of a prepared network whose reference covers all images."""

    def make(weights=WeightsKind.CHECKPOINT):
        folder = tmp_path / f"prepared-{weights}"
        folder.mkdir()
        with np.load(data) as stored:
            labels = stored["labels"]
            images = stored["images"].astype(np.float32)[:, None] / np.float32(255)
        answers = np.where(np.arange(IMAGES) < 9, labels, (labels + 1) % CLASSES)
        logits = (np.eye(CLASSES)[answers] + 0.1 * np.arange(CLASSES)).astype(np.float32)
        np.savez(folder / "reference.npz", images=(images - 0.5) / np.float32(0.5), logits=logits)
        facts = ModelFacts(
            name="m",
            input_shape=(1, 2, 2),
            classes=CLASSES,
            parameters=1,
            macs=1,
            weights=weights,
            weights_hash="h",
            preprocessing=Preprocessing(mean=(0.5,), std=(0.5,), channels="grey"),
        )
        (folder / "facts.json").write_bytes(msgspec.json.encode(facts))
        (folder / "model.onnx").write_bytes(b"12345")
        return folder

    return make


def trial(data, **changes):
    whole = Trial(
        id="t",
        model="m",
        engine=EngineChoice(name="null", options={"cost_s": 0.5, "load_s": 2, "compile_s": 7}),
        precision=Precision.FP32,
        batch_size=5,
        dataset=str(data),
        measurement=Measurement(clock="fake", min_seconds=1),
    )
    return replace(whole, **changes)


def build(folder, asked):
    return Build(BuildOrder(trial=asked, folder=str(folder)))


def test_times_are_kept_apart(prepared, data):
    made = build(prepared(), trial(data))
    ready = made.ready()
    assert ready.receipt.engine == "null" and ready.process.threads >= 1
    report = made.built()
    built = report.built
    assert (built.import_s, built.load_s, built.compile_s, built.first_inference_s) == (0, 2, 7, 0.5)
    assert built.time_to_first_inference_s == 9.5
    assert built.size_bytes == 5 and built.peak_rss_bytes > 1e6
    names = ["import", "load", "compile", "first inference", "verify", "accuracy"]
    assert [phase.name for phase in report.phases] == names
    assert all(a.stop_s <= b.start_s for a, b in zip(report.phases, report.phases[1:], strict=False))


def test_right_answers_are_counted_whatever_the_batch_size(prepared, data):
    folder = prepared()
    for batch_size in (1, 5, 64):
        made = build(folder, trial(data, batch_size=batch_size))
        made.ready()
        report = made.built()
        assert report.verification.passed and report.verification.images == IMAGES
        accuracy = report.accuracy
        assert accuracy is not None
        assert (accuracy.images, accuracy.top1_correct, accuracy.top5_correct) == (12, 9, 12)


@pytest.mark.parametrize("images", [0, 7])
def test_no_more_labelled_images_are_used_than_asked(prepared, data, images):
    made = build(prepared(), trial(data, accuracy_images=images))
    made.ready()
    accuracy = made.built().accuracy
    assert (accuracy.images if accuracy else 0) == images


def test_random_weights_are_not_asked_for_right_answers(prepared, data):
    made = build(prepared(WeightsKind.RANDOM), trial(data))
    made.ready()
    report = made.built()
    assert report.accuracy is None and "accuracy" not in [p.name for p in report.phases]


def test_unlabelled_images_have_no_accuracy(prepared, data):
    made = build(prepared(), trial(data, dataset="synthetic"))
    made.ready()
    assert made.built().accuracy is None


def test_wrong_answers_are_neither_counted_nor_measured(prepared, data):
    options = {"error": 0.5}
    made = build(prepared(), trial(data, engine=EngineChoice(name="null", options=options)))
    made.ready()
    report = made.built()
    assert not report.verification.passed and report.accuracy is None
    assert not hasattr(made, "scenario")
    made.close()


def test_a_build_that_stands_can_be_measured(prepared, data):
    made = build(prepared(), trial(data))
    made.ready()
    made.built()
    burst = made.scenario.burst(BurstOrder())
    assert burst.burst.images == 5 * len(burst.latencies_s)
    assert set(burst.latencies_s) == {0.5}
    made.close()


@pytest.mark.parametrize(
    ("engine", "error", "slug"),
    [
        (EngineChoice(name="nul"), UnknownName, "unknown-engine"),
        (EngineChoice(name="null", options={"cost": 1}), UsageError, "engine-options"),
        (EngineChoice(name="null", options={"cost_s": -1}), UsageError, "engine-options"),
    ],
)
def test_an_engine_or_option_that_is_not_there(prepared, data, engine, error, slug):
    with pytest.raises(error) as caught:
        build(prepared(), trial(data, engine=engine))
    assert caught.value.slug == slug
