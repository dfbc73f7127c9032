import sys

import pytest

from tensordyno.errors import MissingPackage, Unsupported
from tensordyno.forge.packages import needed


def test_gives_the_package():
    assert needed("json.decoder").JSONDecoder


def test_names_the_extra_of_a_missing_package():
    with pytest.raises(MissingPackage) as caught:
        needed("no_such_package.part")
    assert "'no_such_package'" in caught.value.sentence
    assert "tensordyno[forge]" in caught.value.remedy


def test_names_what_a_package_misses(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import no_such_part")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage, match="no_such_part"):
        needed("half_there")


def test_says_why_a_package_is_broken(tmp_path, monkeypatch):
    (tmp_path / "broken_here.py").write_text("raise OSError('libcuda.so.1: cannot open\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unsupported, match=r"libcuda.so.1: cannot open\.$"):
        needed("broken_here")
    assert "broken_here" not in sys.modules
