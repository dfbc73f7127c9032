import numpy as np
import pytest

from tensordyno.datasets.folder_index import read_index
from tensordyno.errors import DataError


@pytest.fixture
def folder(tmp_path):
    def make(*names, table=None):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if table is not None:
            (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
        return tmp_path

    return make


def listed(root):
    index = read_index(root)
    labels = None if index.labels is None else index.labels.tolist()
    return [index.shown(f) for f in index.files], labels, index.class_names


def test_class_folders_are_numbered_alphabetically_and_taken_in_turn(folder):
    root = folder("dog/b.png", "dog/a.jpg", "cat/z.PNG", "cat/deep/x.jpeg", "cat/y.png", "cat/notes.txt")
    assert listed(root) == (
        ["cat/deep/x.jpeg", "dog/a.jpg", "cat/y.png", "dog/b.png", "cat/z.PNG"],
        [0, 1, 0, 1, 0],
        ("cat", "dog"),
    )


def test_folders_named_by_class_index_keep_their_numbers(folder):
    root = folder("10/a.png", "2/b.png", "0/c.png")
    assert listed(root) == (["0/c.png", "10/a.png", "2/b.png"], [0, 10, 2], None)


def test_an_empty_class_keeps_its_number(folder):
    root = folder("a/1.png", "c/1.png")
    (root / "b").mkdir()
    (root / ".cache").mkdir()
    assert listed(root) == (["a/1.png", "c/1.png"], [0, 2], ("a", "b", "c"))


def test_a_flat_folder_has_no_labels(folder):
    assert listed(folder("b.png", "a.jpg", ".hidden.png", "readme.md")) == (["a.jpg", "b.png"], None, None)


@pytest.mark.parametrize("header", ["file,label", "filename,class", "Image, Class_Index", "\ufefffile,label"])
def test_a_table_of_indices_keeps_its_order(header, folder):
    root = folder("a.png", "b.png", "loose.png", table=f"{header}\nb.png,7\n\na.png, 3\n")
    assert listed(root) == (["b.png", "a.png"], [7, 3], None)


def test_a_table_of_names_numbers_them_alphabetically(folder):
    root = folder("a.png", table='id,label,file\n1,dog,a.png\n2,"cat, small",x/b.png\n')
    assert listed(root) == (["a.png", "x/b.png"], [1, 0], ("cat, small", "dog"))


@pytest.mark.parametrize(
    ("names", "table", "slug", "says"),
    [
        ((), None, "empty-data", "holds no images. Known kinds: bmp, gif, jpeg"),
        (("x/readme.md",), None, "empty-data", "holds no images"),
        (("cat/a.png", "b.png"), None, "mixed-data", "1 images beside its class folders, b.png for one"),
        ((), "file,label\n", "empty-data", "holds no images"),
        ((), "", "bad-labels-file", "labels.csv:1: the header is ''"),
        ((), "a.png,3\n", "bad-labels-file", "labels.csv:1: the header is 'a.png,3'"),
        ((), "file,label\na.png\n", "bad-labels-file", "labels.csv:2: found 1 fields"),
        ((), "file,label\na.png,1\nb.png,\n", "bad-labels-file", "labels.csv:3: found 2 fields"),
        ((), "file,label\na.png,1\na.png,2\n", "bad-labels-file", "labels.csv:3: a.png is listed twice"),
        ((), 'file,label\n"a.png,1\n', "bad-labels-file", "labels.csv: unexpected end of data"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(names, table, slug, says, folder):
    with pytest.raises(DataError) as caught:
        read_index(folder(*names, table=table))
    assert caught.value.slug == slug
    assert says in caught.value.line() and "\n" not in caught.value.line()


def test_a_table_that_is_not_text(folder):
    root = folder("a.png")
    (root / "labels.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"labels\.csv: 'utf-8' codec"):
        read_index(root)


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError) as caught:
        read_index(tmp_path / "gone")
    assert caught.value.slug == "unreadable-folder"


def test_a_part_keeps_its_labels_and_the_names_of_all_classes(folder):
    index = read_index(folder("cat/a.png", "cat/b.png", "dog/c.png"))
    part = index.take(np.array([2, 0]))
    assert [part.shown(f) for f in part.files] == ["cat/b.png", "cat/a.png"]
    assert part.labels.tolist() == [0, 0] and part.class_names == ("cat", "dog")
    assert part.root == index.root


def test_a_part_without_labels_has_none(folder):
    assert read_index(folder("b.png", "a.jpg")).take(np.array([1])).labels is None
