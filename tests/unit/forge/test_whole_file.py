import os
import stat

import pytest

from tensordyno.forge.whole_file import write_whole


def test_writes_all_parts_into_a_new_folder(tmp_path):
    path = tmp_path / "a" / "b.bin"
    write_whole(path, [b"one", memoryview(b" and two")])
    assert path.read_bytes() == b"one and two"
    assert [each.name for each in path.parent.iterdir()] == ["b.bin"]


def test_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", [b""])
    plain, whole = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "whole"))
    assert plain == whole


def test_an_interrupted_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def parts():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, parts())
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
