import numpy as np
import pytest

from tensordyno.datasets.base import DataRequest, InputFormat
from tensordyno.datasets.fashion import FILE, open_member
from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

GREY = Preprocessing(mean=(0.2860,), std=(0.3530,), channels="grey")
WANTED = InputFormat(shape=(1, 28, 28), classes=10, preprocessing=GREY)


def everything(split="test"):
    batches = list(open_member(DataRequest(name="fashion", split=split)).batches(256, WANTED, 10**6))
    return np.concatenate([b.images for b in batches]), np.concatenate([b.labels for b in batches])


def test_both_splits_are_there_and_disjoint():
    test, labels = everything()
    calibration, other_labels = everything("calibration")
    assert test.shape == (2000, 1, 28, 28) and calibration.shape == (500, 1, 28, 28)
    assert set(labels) == set(other_labels) == set(range(10))
    assert not {image.tobytes() for image in test} & {image.tobytes() for image in calibration}


def test_the_first_label_is_an_ankle_boot_and_pixels_are_normalised():
    test, labels = everything()
    dataset = open_member(DataRequest(name="fashion"))
    assert dataset.class_names[labels[0]] == "Ankle boot"
    np.testing.assert_allclose([test.min(), test.max()], [-0.2860 / 0.3530, (1 - 0.2860) / 0.3530], rtol=1e-6)


def test_a_network_of_other_classes_is_refused():
    thousand = InputFormat(shape=(1, 28, 28), classes=1000, preprocessing=GREY)
    with pytest.raises(DataError, match="fashion has 10 classes, but the network tells 1000 apart"):
        open_member(DataRequest(name="fashion")).batches(1, thousand, 1)


def test_the_licence_is_shipped_beside_the_images():
    licence = FILE.with_name("LICENSE.fashion-mnist").read_text(encoding="utf-8")
    assert "MIT" in licence and "Zalando" in licence
