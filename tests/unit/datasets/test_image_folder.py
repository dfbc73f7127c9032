import numpy as np
import pytest
from PIL import Image

from tensordyno.datasets.base import DataRequest, InputFormat
from tensordyno.datasets.image_folder import open_member
from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

PLAIN = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
WANTED = InputFormat(shape=(3, 4, 4), classes=2, preprocessing=PLAIN)


def paint(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (5, 7), (value, value, value)).save(path)


@pytest.fixture
def animals(tmp_path):
    for number in range(3):
        paint(tmp_path / "cat" / f"{number}.png", 10 + number)
        paint(tmp_path / "dog" / f"{number}.png", 100 + number)
    return tmp_path


def opened(root, **more):
    return open_member(DataRequest(name=str(root), **more))


def values(dataset, batch_size=4, limit=100):
    batches = list(dataset.batches(batch_size, WANTED, limit))
    return [round(float(i[0, 0, 0]) * 255) for b in batches for i in b.images], batches


def test_images_and_labels_come_in_turn(animals):
    dataset = opened(animals)
    found, batches = values(dataset)
    assert found == [10, 100, 11, 101, 12, 102]
    assert [b.labels.tolist() for b in batches] == [[0, 1, 0, 1], [0, 1]]
    assert dataset.labelled and dataset.class_names == ("cat", "dog")


def test_a_limit_is_exact_even_within_a_batch(animals):
    assert values(opened(animals), batch_size=4, limit=5)[0] == [10, 100, 11, 101, 12]
    assert values(opened(animals), limit=0)[0] == []


def test_an_unreadable_image_is_named_with_what_to_type(animals):
    (animals / "cat" / "1.png").write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        values(opened(animals))
    assert caught.value.slug == "unreadable-image"
    assert str(animals / "cat" / "1.png") in caught.value.sentence
    assert "--skip-unreadable" in caught.value.remedy
    assert values(opened(animals), limit=2)[0] == [10, 100]  # not reached, not an error


def test_skipped_images_are_counted_once_and_replaced_by_the_next(animals):
    (animals / "cat" / "1.png").write_bytes(b"broken")
    dataset = opened(animals, skip_unreadable=True)
    found, batches = values(dataset, limit=4)
    assert found == [10, 100, 101, 12]
    assert np.concatenate([b.labels for b in batches]).tolist() == [0, 1, 1, 0]
    assert values(dataset)[0] == [10, 100, 101, 12, 102]
    assert dataset.unreadable == ("cat/1.png",)


def test_nothing_readable_is_empty_data(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="None of the 1 images") as caught:
        values(opened(tmp_path, skip_unreadable=True))
    assert caught.value.slug == "empty-data"


def test_a_table_may_name_a_missing_file_which_is_unreadable(tmp_path):
    paint(tmp_path / "a.png", 50)
    (tmp_path / "labels.csv").write_text("file,label\ngone.png,1\na.png,0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"gone\.png cannot be read as an image: no such file"):
        values(opened(tmp_path))
    dataset = opened(tmp_path, skip_unreadable=True)
    assert values(dataset)[0] == [50] and dataset.unreadable == ("gone.png",)


def test_labels_of_other_classes_are_told_before_reading(animals):
    many = InputFormat(shape=(3, 4, 4), classes=1000, preprocessing=PLAIN)
    with pytest.raises(DataError, match="2 classes, but the network tells 1000 apart"):
        opened(animals).batches(1, many, 1)


def test_splits_are_sub_folders_of_those_names(tmp_path):
    paint(tmp_path / "test" / "cat" / "a.png", 1)
    paint(tmp_path / "calibration" / "cat" / "a.png", 2)
    one = InputFormat(shape=(3, 4, 4), classes=1, preprocessing=PLAIN)
    for split, value in (("test", 1), ("calibration", 2)):
        (batch,) = opened(tmp_path, split=split).batches(9, one, 9)
        assert round(float(batch.images.max()) * 255) == value


def test_the_hash_sees_bytes_labels_and_limit_but_not_the_place(animals, tmp_path_factory):
    before, three = opened(animals).content_hash(), opened(animals).content_hash(3)
    moved = tmp_path_factory.mktemp("elsewhere") / "copy"
    animals.rename(moved)
    assert opened(moved).content_hash() == before != three
    paint(moved / "dog" / "2.png", 1)
    assert opened(moved).content_hash() != before
    assert opened(moved).content_hash(3) == three
    (moved / "labels.csv").write_text("file,label\ncat/0.png,1\n", encoding="utf-8")
    first = opened(moved).content_hash()
    (moved / "labels.csv").write_text("file,label\ncat/0.png,0\n", encoding="utf-8")
    assert opened(moved).content_hash() != first


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "nowhere")
    assert caught.value.slug == "missing-data"


def test_a_fingerprint_sees_the_bytes_but_neither_place_nor_label(animals):
    marks = list(opened(animals).fingerprints())
    assert len(set(marks)) == 6 and list(opened(animals).fingerprints(2)) == marks[:2]
    (animals / "dog" / "copy.png").write_bytes((animals / "cat" / "0.png").read_bytes())
    again = list(opened(animals).fingerprints())
    assert sorted(again) == sorted([*marks, marks[0]])


def test_unreadable_and_missing_images_have_no_fingerprint_where_they_are_skipped(animals):
    marks = list(opened(animals).fingerprints())
    (animals / "cat" / "0.png").write_bytes(b"broken")
    assert len(list(opened(animals).fingerprints(2))) == 2
    assert list(opened(animals, skip_unreadable=True).fingerprints(3)) == marks[1:4]
    (animals / "labels.csv").write_text("file,label\ngone.png,1\ndog/0.png,0\n", encoding="utf-8")
    assert list(opened(animals).fingerprints()) == [marks[1]]


def test_a_folder_is_divided_and_both_parts_keep_all_classes(animals):
    test, calibration = (opened(animals, hold_out=True, split=s) for s in ("test", "calibration"))
    assert sorted(values(test)[0] + values(calibration)[0]) == [10, 11, 12, 100, 101, 102]
    assert len(values(calibration)[0]) == 1
    assert test.class_names == calibration.class_names == ("cat", "dog")


def test_a_shuffled_folder_keeps_labels_with_their_images(animals):
    found, batches = values(opened(animals, shuffle=2))
    assert sorted(found) == [10, 11, 12, 100, 101, 102] != found
    assert [int(label) for b in batches for label in b.labels] == [int(v >= 100) for v in found]


def test_a_single_image_cannot_be_held_out(tmp_path):
    paint(tmp_path / "a.png", 1)
    with pytest.raises(DataError, match="no two different images") as caught:
        opened(tmp_path, hold_out=True)
    assert caught.value.slug == "too-few-to-hold-out"


def test_copies_never_lie_in_both_parts(tmp_path):
    for number in range(12):
        paint(tmp_path / "cat" / f"{number}.png", 10 + number)
        (tmp_path / "dog").mkdir(exist_ok=True)
        (tmp_path / "dog" / f"copy{number}.png").write_bytes(
            (tmp_path / "cat" / f"{number}.png").read_bytes()
        )
    test, calibration = (
        list(opened(tmp_path, hold_out=True, split=split).fingerprints()) for split in ("test", "calibration")
    )
    assert len(test) == 20 and len(calibration) == 4 and not set(test) & set(calibration)


def test_files_that_are_not_there_hinder_no_division(tmp_path):
    paint(tmp_path / "a.png", 50)
    (tmp_path / "labels.csv").write_text("file,label\ngone.png,1\na.png,0\nno.png,0\n", encoding="utf-8")
    parts = [opened(tmp_path, hold_out=True, split=split).count for split in ("test", "calibration")]
    assert parts == [2, 1]
