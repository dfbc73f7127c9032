import numpy as np

from tensordyno.datasets.base import DataRequest, InputFormat
from tensordyno.datasets.synthetic import open_member
from tensordyno.records.model import Preprocessing

WANTED = InputFormat(shape=(3, 16, 16), classes=10, preprocessing=Preprocessing())


def images(batch_size=8, limit=64, **request):
    dataset = open_member(DataRequest(name="synthetic", **request))
    return np.concatenate([batch.images for batch in dataset.batches(batch_size, WANTED, limit)])


def test_pixels_are_standard_normal_and_not_zero():
    pixels = images(limit=64)
    count = pixels.size  # 49 152
    assert abs(pixels.mean()) < 5 / np.sqrt(count)  # five standard errors
    assert abs(pixels.var() - 1) < 5 * np.sqrt(2 / count)
    assert np.count_nonzero(pixels) == count


def test_images_do_not_depend_on_how_they_are_batched_or_limited():
    whole = images(64)
    np.testing.assert_array_equal(images(7), whole)
    np.testing.assert_array_equal(images(5, limit=9), whole[:9])


def test_seed_and_split_give_other_images_and_all_images_differ():
    pixels = [images(seed=0), images(seed=1), images(seed=0, split="calibration")]
    assert len({p.tobytes() for p in pixels}) == 3
    assert len({image.tobytes() for image in np.concatenate(pixels)}) == 3 * 64


def test_the_hash_names_the_recipe():
    requests = [{"seed": 0}, {"seed": 1}, {"seed": 0, "split": "calibration"}]
    hashes = [open_member(DataRequest(name="synthetic", **r)).content_hash() for r in requests]
    assert len(set(hashes)) == 3


def test_any_channel_count_is_filled():
    wanted = InputFormat(shape=(4, 3, 5), classes=2, preprocessing=Preprocessing())
    (batch,) = open_member(DataRequest(name="synthetic")).batches(2, wanted, 2)
    assert batch.images.shape == (2, 4, 3, 5) and batch.labels is None


def test_a_shuffle_gives_other_numbers_and_0_the_usual_ones():
    pixels = [images(limit=8, shuffle=s) for s in (0, 1, 2)]
    assert len({image.tobytes() for image in np.concatenate(pixels)}) == 3 * 8
    np.testing.assert_array_equal(pixels[0], images(limit=8))


def test_fingerprints_differ_as_the_images_do_and_have_an_end():
    requests = [{}, {"seed": 1}, {"shuffle": 1}, {"split": "calibration"}]
    marks = [m for r in requests for m in open_member(DataRequest(name="synthetic", **r)).fingerprints(8)]
    assert len(set(marks)) == 4 * 8
    assert list(open_member(DataRequest(name="synthetic")).fingerprints()) == []
