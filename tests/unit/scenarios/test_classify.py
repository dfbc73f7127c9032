import numpy as np
import pytest
from fake_worker import trial

from tensordyno.datasets.base import Batch
from tensordyno.scenarios.base import SCENARIOS
from tensordyno.scenarios.classify import logits_of, logits_of_batches
from tensordyno.vocabulary import Task


class Setup:
    def __init__(self, batch_size):
        self.batch_size = batch_size


class Doubling:
    """An engine whose logits are the image's pixels, doubled; it takes whole batches only."""

    def __init__(self, batch_size):
        self.setup = Setup(batch_size)
        self.shapes = []

    def answer(self, images):
        assert images.flags.c_contiguous
        assert len(images) == self.setup.batch_size
        self.shapes.append(images.shape)
        return 2 * images.reshape(len(images), -1)


IMAGES = np.arange(7 * 4, dtype=np.float32).reshape(7, 1, 2, 2)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64])
def test_any_number_of_images_through_any_batch_size(batch_size):
    engine = Doubling(batch_size)
    np.testing.assert_array_equal(logits_of(engine, IMAGES), 2 * IMAGES.reshape(7, 4))
    assert len(engine.shapes) == -(-7 // batch_size)


def test_labels_stay_beside_their_logits_and_unlabelled_batches_are_left_out():
    batches = [
        Batch(images=IMAGES[:3], labels=np.array([5, 6, 7])),
        Batch(images=IMAGES[3:4], labels=None),
        Batch(images=IMAGES[4:], labels=np.array([8, 9, 10])),
    ]
    found = list(logits_of_batches(Doubling(2), batches))
    assert [labels.tolist() for _, labels in found] == [[5, 6, 7], [8, 9, 10]]
    logits = np.concatenate([logits for logits, _ in found])
    np.testing.assert_array_equal(logits, 2 * IMAGES[[0, 1, 2, 4, 5, 6]].reshape(6, 4))


def test_the_catalogue_of_scenarios_holds_tasks():
    assert "inference" in SCENARIOS.names() and "classify" not in SCENARIOS.names()
    assert set(SCENARIOS.names()) <= set(Task)
    assert trial().task in SCENARIOS.names()
