"""Every dataset keeps the promises of `datasets/base.py`."""

import numpy as np
import pytest
from PIL import Image

from tensordyno.datasets.base import DATASETS, DataRequest, InputFormat, open_dataset
from tensordyno.records.model import Preprocessing

GREY = Preprocessing(mean=(0.3,), std=(0.4,), channels="grey")
WANTED = InputFormat(shape=(1, 12, 10), classes=10, preprocessing=GREY)


def image_folder(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 2, 9, 14, 3), dtype=np.uint8)
    for label, images in enumerate(pixels):
        (folder / f"class{label}").mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"class{label}" / f"{number}.png")
    return str(folder)


def arrays(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 14), dtype=np.uint8)
    np.savez(folder / "a.npz", x=pixels, y=np.arange(20) % 10)
    return str(folder / "a.npz")


NAMES = {
    "synthetic": lambda folder: "synthetic",
    "fashion": lambda folder: "fashion",
    "image-folder": image_folder,
    "arrays": arrays,
}


def test_every_member_is_examined():
    assert set(DATASETS.names()) == set(NAMES)


@pytest.fixture(params=sorted(NAMES))
def name(request, tmp_path):
    return NAMES[request.param](tmp_path)


def read(name, batch_size, limit, **request):
    dataset = open_dataset(DataRequest(name=name, **request))
    batches = list(dataset.batches(batch_size, WANTED, limit))
    images = np.concatenate([batch.images for batch in batches])
    labels = [batch.labels for batch in batches]
    return dataset, batches, images, np.concatenate(labels) if dataset.labelled else labels


def test_images_have_the_shape_type_and_number_asked_for(name):
    _, batches, images, _ = read(name, 7, 17)
    assert [len(batch.images) for batch in batches] == [7, 7, 3]
    assert images.shape == (17, 1, 12, 10) and images.dtype == np.float32
    assert all(batch.images.flags["C_CONTIGUOUS"] for batch in batches)
    assert np.isfinite(images).all() and np.count_nonzero(images) > 0.9 * images.size


def test_labels_are_there_exactly_when_promised(name):
    dataset, batches, _, labels = read(name, 8, 16)
    if dataset.labelled:
        assert labels.shape == (16,) and labels.dtype == np.int64
        assert labels.min() >= 0 and labels.max() < WANTED.classes
    else:
        assert all(batch.labels is None for batch in batches)
        assert dataset.class_names is None


def test_the_order_is_fixed_and_batching_changes_nothing(name):
    _, _, once, labels = read(name, 16, 16)
    _, _, again, same_labels = read(name, 5, 16)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once[:4], read(name, 4, 4)[2])
    if labels[0] is not None:
        np.testing.assert_array_equal(labels, same_labels)


def test_reading_twice_from_one_dataset_gives_the_same(name):
    dataset, _, first, _ = read(name, 16, 16)
    second = np.concatenate([batch.images for batch in dataset.batches(16, WANTED, 16)])
    np.testing.assert_array_equal(first, second)


def test_the_hash_is_stable_and_short(name):
    dataset, _, _, _ = read(name, 4, 4)
    fresh = open_dataset(DataRequest(name=name))
    assert dataset.content_hash() == fresh.content_hash()
    assert dataset.content_hash(3) == fresh.content_hash(3)
    assert len(fresh.content_hash()) == 16 and int(fresh.content_hash(), 16) >= 0


def test_it_has_a_name_and_nothing_unreadable(name):
    dataset, _, _, _ = read(name, 4, 4)
    assert dataset.name and dataset.unreadable == ()


def test_the_calibration_split_opens_too(name):
    _, _, images, _ = read(name, 8, 8, split="calibration")
    assert images.shape == (8, 1, 12, 10)


def test_nothing_asked_for_is_nothing_given(name):
    assert list(open_dataset(DataRequest(name=name)).batches(4, WANTED, 0)) == []
