import fcntl

import pytest

from tensordyno.errors import StoreError
from tensordyno.store.alone import alone


def is_locked(folder):
    with folder.with_name(f".{folder.name}.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_others_wait_inside_and_not_after(tmp_path):
    folder = tmp_path / "cache" / "entry"
    with alone(folder):
        assert is_locked(folder)
    assert not is_locked(folder)


def test_the_lock_ends_with_an_error_too(tmp_path):
    with pytest.raises(ValueError, match="broken"), alone(tmp_path / "entry"):
        raise ValueError("broken")
    assert not is_locked(tmp_path / "entry")


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"), alone(tmp_path / "file" / "entry"):
        pass
