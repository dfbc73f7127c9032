import sys

import pytest

from tensordyno.engines.framework import framework
from tensordyno.errors import MissingPackage, Unsupported


def test_an_installed_package_is_imported():
    assert framework("json", "none").dumps([1]) == "[1]"


def test_a_missing_package_says_what_to_type():
    with pytest.raises(MissingPackage, match="'no_such_framework'") as missing:
        framework("no_such_framework", "openvino")
    assert missing.value.remedy == "Type: pip install 'tensordyno[openvino]'"


def test_a_package_that_misses_another_names_the_other(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage, match="'no_such_dependency'"):
        framework("half_installed", "torch")


def test_a_broken_package_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_framework.py").write_text("raise ImportError('libgpu.so.1: cannot open')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unsupported, match=r"installed but broken: libgpu\.so\.1: cannot open"):
        framework("broken_framework", "torch")
    assert "broken_framework" not in sys.modules
