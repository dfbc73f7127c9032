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


def fingerprints(name, limit=None, **request):
    return list(open_dataset(DataRequest(name=name, **request)).fingerprints(limit))


def test_fingerprints_tell_images_apart_and_do_not_depend_on_batches(name):
    _, _, images, _ = read(name, 20, 20)
    found = fingerprints(name, 20)
    assert len(found) == len(set(found)) == len({image.tobytes() for image in images}) == 20
    assert found[:7] == fingerprints(name, 7)
    assert all(len(print_) == 16 and int(print_, 16) >= 0 for print_ in found)


def test_a_shuffled_order_is_fixed_by_its_seed_and_moves_labels_and_fingerprints_along(name):
    _, _, stored, labels = read(name, 20, 20)
    _, _, shuffled, moved = read(name, 20, 20, shuffle=5)
    np.testing.assert_array_equal(shuffled, read(name, 3, 20, shuffle=5)[2])
    np.testing.assert_array_equal(shuffled[:4], read(name, 4, 4, shuffle=5)[2])
    assert not np.array_equal(shuffled, stored) and not np.array_equal(
        shuffled, read(name, 20, 20, shuffle=6)[2]
    )
    places = {mark: place for place, mark in enumerate(fingerprints(name, 20))}
    for position, mark in enumerate(fingerprints(name, 20, shuffle=5)):
        if mark in places:  # synthetic: other numbers altogether; fashion: mostly images beyond the first
            np.testing.assert_array_equal(shuffled[position], stored[places[mark]])
            assert labels[0] is None or moved[position] == labels[places[mark]]


def test_the_hash_sees_order_and_part(name):
    requests = [{}, {"shuffle": 1}, {"shuffle": 2}, {"split": "calibration", "hold_out": True}]
    hashes = [open_dataset(DataRequest(name=name, **request)).content_hash(4) for request in requests]
    assert len(set(hashes)) == 4


def test_what_is_held_out_is_never_tested(name):
    test = fingerprints(name, 3000, hold_out=True)
    calibration = fingerprints(name, 3000, hold_out=True, split="calibration", shuffle=3)
    assert test and calibration and not set(test) & set(calibration)
    whole = fingerprints(name, 3000)
    if name in ("synthetic", "fashion"):  # they have both splits
        assert test == whole
    else:
        assert sorted(test + calibration) == sorted(whole) and len(calibration) == 4


def test_it_knows_how_many_images_there_are(name):
    for request in ({}, {"hold_out": True}, {"hold_out": True, "split": "calibration"}):
        dataset = open_dataset(DataRequest(name=name, **request))
        if dataset.count is not None:
            batches = dataset.batches(500, WANTED, 10**6)
            assert sum(len(batch.images) for batch in batches) == dataset.count > 0
    assert (dataset.count is None) == (name == "synthetic")
