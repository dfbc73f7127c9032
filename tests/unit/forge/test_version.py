import re
import shutil

from tensordyno import __version__
from tensordyno.forge import version


def test_versions():
    assert re.fullmatch(rf"{re.escape(__version__)}-[0-9a-f]{{8}}", version.forge_version())
    assert version.triton_version().startswith("3.")


def test_depends_on_what_decides_and_on_nothing_else(tmp_path, monkeypatch):
    folder = tmp_path / "forge"
    shutil.copytree(version._HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(version, "_HERE", folder)
    found = [version.forge_version.__wrapped__()]
    for name in ("onnx_reader.py", "kernels/base.py", "lower.py"):
        path = folder / name
        path.write_text(path.read_text() + "\n# another comment\n")
        found.append(version.forge_version.__wrapped__())
    assert found[0] == version.forge_version() == found[1]
    assert len(set(found)) == 3
