from pathlib import Path

import pytest

import tensordyno
from tensordyno.errors import StoreError
from tensordyno.run.cache_folder import cache_root, only_tensordyno


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENSORDYNO_CACHE", "relative")  # a worker may run elsewhere
    assert cache_root() == tmp_path / "relative"
    monkeypatch.delenv("TENSORDYNO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "tensordyno"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "tensordyno"


def test_another_interpreter_finds_this_package_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path))
    folder = only_tensordyno()
    (link,) = folder.iterdir()
    assert link.name == "tensordyno" and link.resolve() == Path(tensordyno.__file__).parent
    assert only_tensordyno() == folder
    link.unlink()
    link.symlink_to(tmp_path / "where we were before")
    assert (only_tensordyno() / "tensordyno" / "__init__.py").exists()


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "path").write_text("in the way")
    monkeypatch.setenv("TENSORDYNO_CACHE", str(tmp_path))
    with pytest.raises(StoreError, match="cannot be written"):
        only_tensordyno()
