import numpy as np
import pytest

from tensordyno.datasets.base import InputFormat
from tensordyno.datasets.in_memory import InMemory
from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(7) % 3
WANTED = InputFormat(shape=(3, 4, 4), classes=3, preprocessing=Preprocessing())


def test_batches_hold_images_and_labels_in_order():
    batches = list(InMemory("m", PIXELS, LABELS).batches(3, WANTED, 7))
    assert [len(b.images) for b in batches] == [3, 3, 1]
    assert np.concatenate([b.labels for b in batches]).tolist() == LABELS.tolist()


def test_misfits_are_told_before_the_first_batch():
    with pytest.raises(DataError, match="labels up to 2"):
        InMemory("m", PIXELS, LABELS).batches(
            1, InputFormat(shape=(3, 4, 4), classes=2, preprocessing=Preprocessing()), 1
        )


def test_the_hash_sees_pixels_labels_shape_and_limit():
    def digest(pixels=PIXELS, labels=LABELS, limit=None):
        return InMemory("m", pixels, labels).content_hash(limit)

    changed = PIXELS.copy()
    changed[6, 3, 3, 2] ^= 1
    others = {digest(changed), digest(labels=LABELS[::-1]), digest(labels=None), digest(limit=6)}
    others.add(digest(pixels=PIXELS.reshape(7, 2, 8, 3)))
    assert len(others | {digest()}) == 6
    assert digest(changed, limit=6) == digest(limit=6)
    assert digest(np.asfortranarray(PIXELS)) == digest()


def test_positions_choose_and_order_the_images():
    chosen = np.array([5, 0, 3])
    dataset = InMemory("m", PIXELS, LABELS, positions=chosen)
    (batch,) = dataset.batches(9, WANTED, 9)
    whole = np.concatenate([b.images for b in InMemory("m", PIXELS, LABELS).batches(9, WANTED, 9)])
    np.testing.assert_array_equal(batch.images, whole[chosen])
    assert batch.labels.tolist() == LABELS[chosen].tolist()
    assert dataset.content_hash() == InMemory("m", PIXELS[chosen], LABELS[chosen]).content_hash()
    marks = list(InMemory("m", PIXELS, LABELS).fingerprints())
    assert list(dataset.fingerprints(2)) == [marks[5], marks[0]]


def test_a_fingerprint_sees_pixels_and_shape_but_no_label():
    marks = list(InMemory("m", PIXELS, LABELS).fingerprints())
    assert marks == list(InMemory("other", PIXELS, None).fingerprints())
    assert marks == list(InMemory("m", np.asfortranarray(PIXELS), LABELS).fingerprints())
    changed = PIXELS.copy()
    changed[6, 3, 3, 2] ^= 1
    assert [a == b for a, b in zip(marks, InMemory("m", changed, None).fingerprints(), strict=True)] == [
        *[True] * 6,
        False,
    ]
    assert not set(marks) & set(InMemory("m", PIXELS.reshape(7, 2, 8, 3), None).fingerprints())
