import numpy as np
import pytest
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.errors import DataError
from tensordyno.models.prepared import load_prepared
from tensordyno.records.messages import PrepareOrder
from tensordyno.records.model import ModelCard, Preprocessing, PreprocessingChange
from tensordyno.worker.prepare import prepare_model, reference_images

GREY = Preprocessing(mean=(0.5,), std=(0.5,), channels="grey")
CARD = ModelCard(name="m", input_shape=(1, 28, 28), classes=10, preprocessing=GREY)


def test_reference_images_are_the_datasets_first(tmp_path):
    asked = replace(trial(), dataset="fashion", verify_images=5)
    images = reference_images(asked, CARD)
    assert images.shape == (5, 1, 28, 28) and images.dtype == np.float32
    more = reference_images(replace(asked, verify_images=40), CARD)
    np.testing.assert_array_equal(more[:5], images)


def test_synthetic_ones_follow_the_seed():
    first, again, other = (
        reference_images(replace(trial(), seed=seed, verify_images=3), CARD) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other) and first.std() > 0.5


def test_fewer_images_than_asked_are_all_there_are(tmp_path):
    np.savez(tmp_path / "few.npz", images=np.ones((3, 28, 28), np.uint8))
    asked = replace(trial(), dataset=str(tmp_path / "few.npz"), verify_images=32)
    assert len(reference_images(asked, CARD)) == 3


def test_data_for_another_network_are_refused():
    with pytest.raises(DataError, match="classes"):
        reference_images(replace(trial(), dataset="fashion"), replace(CARD, classes=7))


def test_held_out_images_are_no_reference(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=pixels)
    whole, tested = (
        reference_images(replace(trial(), dataset=str(tmp_path / "a.npz"), hold_out=hold_out), CARD)
        for hold_out in (False, True)
    )
    assert (len(whole), len(tested)) == (10, 8)
    assert {image.tobytes() for image in tested} < {image.tobytes() for image in whole}


def test_the_wanted_preprocessing_is_stored_with_the_prepared_network(tmp_path):
    asked = replace(
        trial(),
        model="lenet5_fashion",
        dataset="fashion",
        verify_images=2,
        preprocessing=PreprocessingChange(mean=(0.0,), std=(1.0,)),
    )
    report = prepare_model(PrepareOrder(trial=asked, folder=str(tmp_path / "lenet")))
    stored = load_prepared(tmp_path / "lenet")
    assert report.model == stored.facts
    assert (stored.facts.preprocessing.mean, stored.facts.preprocessing.std) == ((0.0,), (1.0,))
    with np.load(stored.reference) as reference:
        assert reference["images"].min() >= 0 and reference["images"].max() == 1
