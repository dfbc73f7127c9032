import numpy as np
import pytest
from msgspec.structs import replace

from tensordyno.datasets.base import open_dataset
from tensordyno.datasets.requests import to_test
from tensordyno.quantize.images import PIECE, CalibrationImages
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision, WeightsKind

LOOK = Preprocessing(mean=(0.0,), std=(1.0,), channels="grey")
FACTS = ModelFacts(
    name="m",
    input_shape=(1, 4, 4),
    classes=10,
    parameters=1,
    macs=1,
    weights=WeightsKind.RANDOM,
    weights_hash="h",
    preprocessing=LOOK,
)


def trial(dataset, **calibration):
    return Trial(
        id="t",
        model="m",
        engine=EngineChoice(name="null"),
        precision=Precision.INT8,
        batch_size=1,
        dataset=str(dataset),
        calibration=Calibration(**calibration),
    )


@pytest.fixture
def data(tmp_path):
    """23 images, each of one shade, its number."""
    return stored(tmp_path / "data.npz", 23)


def stored(path, count, labels=True):
    shades = np.arange(count, dtype=np.uint8)
    pixels = np.broadcast_to(shades[:, None, None], (count, 4, 4))
    np.savez(path, x=pixels, **({"y": shades.astype(int) % 10} if labels else {}))
    return path


def shades(pieces):
    return [round(float(image[0, 0, 0]) * 255) for piece in pieces for image in piece]


def all_shades(images):
    reader = images.read()
    return shades([*reader.rest(), reader.held_back().images])


def test_the_last_fifth_is_held_back(data):
    images = CalibrationImages(trial(data), FACTS)
    assert (images.count, images.held_back) == (23, 4)
    reader = images.read()
    assert shades(reader.rest()) == list(range(19)) and shades([reader.held_back().images]) == [
        19,
        20,
        21,
        22,
    ]
    held = images.read().held_back()
    assert shades([held.images]) == [19, 20, 21, 22] and list(held.labels) == [9, 0, 1, 2]


@pytest.mark.parametrize(("batches", "batch_size"), [(20, 1), (4, 5), (2, 10), (1, 20)])
def test_the_batch_size_changes_no_piece(data, batches, batch_size):
    """Also not their sizes: ONNX Runtime sums a batch of 1 in another order than one of 4."""
    images = CalibrationImages(trial(data, batches=batches, batch_size=batch_size), FACTS)
    reader = images.read()
    assert [len(piece) for piece in reader.rest()] == [PIECE] * 4
    assert shades([reader.held_back().images]) == [16, 17, 18, 19]
    assert images.key == CalibrationImages(trial(data, batches=5, batch_size=4), FACTS).key


def test_what_the_network_sees_is_in_the_key(data, tmp_path):
    key = CalibrationImages(trial(data), FACTS).key
    lighter = replace(FACTS, preprocessing=replace(LOOK, mean=(0.1,)))
    others = [
        CalibrationImages(trial(data, batches=20, batch_size=1), FACTS).key,
        CalibrationImages(trial(data, seed=1), FACTS).key,
        CalibrationImages(trial(data), lighter).key,
        CalibrationImages(trial(data), replace(FACTS, input_shape=(1, 8, 8))).key,
        CalibrationImages(trial(stored(tmp_path / "no_labels.npz", 23, labels=False)), FACTS).key,
    ]
    assert len({key, *others}) == 6


def test_one_changed_pixel_is_a_new_key(data, tmp_path):
    with np.load(data) as arrays:
        pixels, labels = arrays["x"].copy(), arrays["y"]
    pixels[22, 3, 3] ^= 1
    np.savez(tmp_path / "other.npz", x=pixels, y=labels)
    assert CalibrationImages(trial(tmp_path / "other.npz"), FACTS).key != (
        CalibrationImages(trial(data), FACTS).key
    )


def test_a_seed_draws_other_images(data):
    drawn = [
        all_shades(CalibrationImages(trial(data, batches=10, batch_size=1, seed=seed), FACTS))
        for seed in (0, 1, 1)
    ]
    assert drawn[0] == list(range(10)) and drawn[1] == drawn[2] != drawn[0]
    assert len(set(drawn[1])) == 10


def test_the_calibration_has_data_of_its_own(data, tmp_path):
    other = stored(tmp_path / "other.npz", 7, labels=False)
    asked = replace(trial(data, data=str(other)), hold_out=True)
    assert CalibrationImages(asked, FACTS).count == 7  # all of it: the test data are elsewhere
    assert len(list(open_dataset(to_test(asked)).fingerprints())) == 23 - 4


def test_holding_out_divides_the_data(data):
    asked = replace(trial(data), hold_out=True)
    images = CalibrationImages(asked, FACTS)
    assert images.count == 4
    assert not set(images.fingerprints) & set(open_dataset(to_test(asked)).fingerprints())


def test_classes_that_the_network_does_not_know_leave_images_without_labels(tmp_path):
    from PIL import Image

    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            Image.new("L", (4, 4), number).save(tmp_path / kind / f"{number}.png")
    held = CalibrationImages(trial(tmp_path), FACTS).read().held_back()
    assert held.images.shape == (1, 1, 4, 4) and held.labels is None
    knows = CalibrationImages(trial(tmp_path), replace(FACTS, classes=2)).read().held_back()
    assert list(knows.labels) == [1]


def test_one_image_is_not_divided(tmp_path):
    images = CalibrationImages(trial(stored(tmp_path / "one.npz", 1)), FACTS)
    assert images.held_back == 0 and all_shades(images) == [0]
    assert images.read().held_back().labels is None


def test_what_is_held_in_memory_has_a_bound(tmp_path):
    images = CalibrationImages(trial(stored(tmp_path / "many.npz", 256), batches=1, batch_size=1250), FACTS)
    assert images.held_back == 51
    several = np.zeros((2000, 4, 4), np.uint8)
    np.savez(tmp_path / "several.npz", x=several)
    images = CalibrationImages(trial(tmp_path / "several.npz", batches=80), FACTS)
    assert (images.count, images.held_back) == (2000, 250)
