import os

import pytest

from tensordyno.cli.output_file import check_output
from tensordyno.errors import DynoError, StoreError, UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.engine").mkdir()
    for name in ("there.engine", "table.json"):
        (tmp_path / name).write_text("kept")
    return tmp_path


@pytest.mark.parametrize("name", ["new.engine", "new.int8.ENGINE", "./new.engine"])
def test_a_new_file_may_be_made(folder, name):
    check_output(folder / name, ".engine", force=False)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("new.onnx", "bad-output"),
        ("engine", "bad-output"),
        ("nowhere/new.engine", "bad-output"),
        ("folder.engine", "bad-output"),
        ("there.engine", "output-exists"),
    ],
)
def test_what_cannot_be_made_is_said_and_stays_as_it_was(folder, name, slug):
    with pytest.raises(UsageError) as caught:
        check_output(folder / name, ".engine", force=False)
    assert caught.value.slug == slug and caught.value.remedy
    assert (folder / "there.engine").read_text() == "kept"


def test_files_beside_count_too(folder):
    with pytest.raises(UsageError, match=r"table.json exists already") as caught:
        check_output(folder / "new.engine", ".engine", force=False, beside=(folder / "table.json",))
    assert caught.value.slug == "output-exists"


def test_force_overwrites_files_but_no_folder(folder):
    check_output(folder / "there.engine", ".engine", force=True, beside=(folder / "table.json",))
    with pytest.raises(UsageError, match="is a folder"):
        check_output(folder / "folder.engine", ".engine", force=True)


def test_a_folder_that_takes_nothing_is_known_before_any_work(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StoreError, match=f"into {folder}") as caught:
        check_output(folder / "new.engine", ".engine", force=False)
    assert caught.value.slug == "no-permission" and isinstance(caught.value, DynoError)
