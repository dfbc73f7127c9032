import numpy as np
import pytest
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.errors import DataError
from tensordyno.records.model import ModelCard, Preprocessing
from tensordyno.worker.prepare import reference_images

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
