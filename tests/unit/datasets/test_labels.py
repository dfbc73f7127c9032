import numpy as np
import pytest

from tensordyno.datasets.labels import as_labels, check_labels
from tensordyno.errors import DataError


def test_labels_that_fit_pass():
    check_labels("d", np.array([0, 9]), None, 10)
    check_labels("d", np.array([0, 3]), None, 1000)
    check_labels("d", np.array([0, 1]), ("cat", "dog"), 2)
    check_labels("d", np.array([], np.int64), None, 2)


@pytest.mark.parametrize(
    ("labels", "names", "classes", "says"),
    [
        ([0, 10], None, 10, r"labels up to 10, but the network tells 10 classes apart \(0 to 9\)"),
        ([-1, 3], None, 10, "label -1"),
        ([0, 1], ("cat", "dog"), 1000, "2 classes, but the network tells 1000 apart"),
        ([0], ("cat", "dog", "cow"), 2, "3 classes, but the network tells 2 apart"),
    ],
)
def test_labels_of_other_classes_are_refused(labels, names, classes, says):
    with pytest.raises(DataError, match=says) as caught:
        check_labels("d", np.array(labels), names, classes)
    assert caught.value.slug == "labels-mismatch"


def test_labels_become_int64_in_one_row():
    for given in ([1, 2], np.array([1, 2], np.uint8), np.array([[1], [2]])):
        found = as_labels("d", given)
        assert found.dtype == np.int64 and found.tolist() == [1, 2]


@pytest.mark.parametrize("given", [[1.5], ["a"], [[1, 2]], 3, [True]])
def test_what_is_no_label_is_refused(given):
    with pytest.raises(DataError, match="wanted"):
        as_labels("d", given)
