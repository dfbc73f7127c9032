import numpy as np
import pytest

from tensordyno.datasets.arrays import open_member
from tensordyno.datasets.base import DataRequest, InputFormat
from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
LABELS = np.arange(5)
PLAIN = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
WANTED = InputFormat(shape=(3, 6, 8), classes=10, preprocessing=PLAIN)


@pytest.fixture
def opened(tmp_path):
    def save_and_open(split="test", **arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return open_member(DataRequest(name=str(tmp_path / "a.npz"), split=split))

    return save_and_open


def first(dataset):
    (batch,) = dataset.batches(100, WANTED, 100)
    return batch


@pytest.mark.parametrize("images", ["x", "images", "x_test", "data"])
@pytest.mark.parametrize("labels", ["y", "labels", "y_test"])
def test_the_usual_keys_are_found(images, labels, opened):
    batch = first(opened(**{images: PIXELS, labels: LABELS}))
    np.testing.assert_array_equal(batch.labels, LABELS)
    np.testing.assert_allclose(batch.images.transpose(0, 2, 3, 1) * 255, PIXELS, rtol=1e-6)


@pytest.mark.parametrize(
    "stored",
    [
        PIXELS.transpose(0, 3, 1, 2),
        np.concatenate([PIXELS, PIXELS[..., :1]], axis=3),
        (PIXELS / 255).astype(np.float64),
        (PIXELS / 255).astype(np.float32).transpose(0, 3, 1, 2),
    ],
    ids=["channels first", "with alpha", "double", "float channels first"],
)
def test_layouts_and_types_mean_the_same_images(stored, opened):
    batch = first(opened(x=stored))
    assert batch.labels is None and batch.images.dtype == np.float32
    np.testing.assert_allclose(batch.images.transpose(0, 2, 3, 1), PIXELS / 255, rtol=1e-5)


def test_grey_images_need_no_channel_axis(opened):
    batch = first(opened(x=PIXELS[..., 0], y=LABELS))
    assert batch.images.shape == (5, 3, 6, 8)
    np.testing.assert_allclose(batch.images[:, 2] * 255, PIXELS[..., 0], rtol=1e-6)


def test_the_calibration_split_is_read_where_there_is_one(opened):
    both = {"x_test": PIXELS, "y_test": LABELS, "x_calib": PIXELS[:2], "y_calib": LABELS[:2]}
    assert len(first(opened("calibration", **both)).images) == 2
    assert len(first(opened("test", **both)).images) == 5
    assert len(first(opened("calibration", x=PIXELS)).images) == 5


@pytest.mark.parametrize(
    ("arrays", "slug", "says"),
    [
        ({"pictures": PIXELS, "y": LABELS}, "bad-arrays", "holds pictures, y, but no images"),
        ({}, "bad-arrays", "holds nothing, but no images"),
        ({"x": PIXELS[0, 0]}, "bad-arrays", r"shape \(8, 3\); wanted: \(n, h, w\)"),
        ({"x": np.zeros((2, 5, 5, 5), np.uint8)}, "bad-arrays", r"shape \(2, 5, 5, 5\)"),
        ({"x": PIXELS[:0]}, "empty-data", "no images"),
        ({"x": PIXELS.astype(np.int32)}, "bad-arrays", "type int32; wanted: uint8 or float"),
        ({"x": PIXELS / 100}, "bad-arrays", "wanted: 0 to 1, not yet normalised"),
        ({"x": np.full((1, 2, 2), np.nan)}, "bad-arrays", "from nan to nan"),
        ({"x": PIXELS, "y": LABELS[:3]}, "bad-arrays", "5 images and 3 labels"),
        ({"x": PIXELS, "y": LABELS / 2}, "bad-arrays", "type float64; wanted"),
        ({"x": np.array([{}])}, "bad-arrays", "cannot be read as .npz"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(arrays, slug, says, opened):
    with pytest.raises(DataError, match=says) as caught:
        opened(**arrays)
    assert caught.value.slug == slug
    assert "a.npz" in caught.value.sentence and "\n" not in caught.value.line()


def test_a_missing_a_cut_and_a_wrong_file(tmp_path):
    def slug_of(path):
        with pytest.raises(DataError) as caught:
            open_member(DataRequest(name=str(path)))
        return caught.value.slug

    assert slug_of(tmp_path / "none.npz") == "missing-data"
    np.savez(tmp_path / "whole.npz", x=PIXELS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:200])
    np.save(tmp_path / "one.npy", PIXELS)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npz").mkdir()
    for name in ("cut.npz", "one.npz", "empty.npz", "folder.npz"):
        assert slug_of(tmp_path / name) == "bad-arrays"


def test_a_label_beyond_the_network_is_refused(opened):
    dataset = opened(x=PIXELS, y=LABELS + 6)
    with pytest.raises(DataError, match="labels up to 10"):
        dataset.batches(1, WANTED, 1)


def request(path, **more):
    return open_member(DataRequest(name=str(path / "a.npz"), **more))


def test_a_file_with_one_split_is_divided_and_one_with_both_is_not(opened, tmp_path):
    opened(x=PIXELS, y=LABELS)
    parts = [first(request(tmp_path, hold_out=True, split=s)).labels for s in ("test", "calibration")]
    assert [len(part) for part in parts] == [4, 1] and sorted(np.concatenate(parts)) == [0, 1, 2, 3, 4]
    opened(x_test=PIXELS, y_test=LABELS, x_train=PIXELS[:2], y_train=LABELS[:2])
    sizes = [len(first(request(tmp_path, hold_out=True, split=s)).images) for s in ("test", "calibration")]
    assert sizes == [5, 2]


def test_images_without_labels_are_divided_and_shuffled_too(opened, tmp_path):
    opened(x=PIXELS)
    stored = first(request(tmp_path)).images
    held = first(request(tmp_path, hold_out=True, split="calibration")).images
    assert len(held) == 1 and any(np.array_equal(held[0], image) for image in stored)
    shuffled = first(request(tmp_path, shuffle=3)).images
    assert not np.array_equal(shuffled, stored)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(stored, axis=0))


def test_the_same_images_in_two_files_share_their_fingerprints(opened, tmp_path):
    once = list(opened(x=PIXELS).fingerprints())
    again = list(opened(images=PIXELS.transpose(0, 3, 1, 2), labels=LABELS).fingerprints())
    assert once == again and len(set(once)) == 5
