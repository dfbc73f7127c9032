"""Which CUDA an installed framework was built for, read from its files without importing it."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple


class CudaBuild(NamedTuple):
    """A framework as it is installed here."""

    version: str  # 2.13.0+cpu
    cuda: str  # "13.0"; "": built without CUDA


# package -> the file that says so, and the name it says it under
_TOLD_IN = {
    "torch": ("version.py", "cuda"),
    "onnxruntime": ("capi/build_and_package_info.py", "cuda_version"),
}


def cuda_build(package: str) -> CudaBuild | None:
    """What the files of a package tell; None for one that is not here, or says nothing of CUDA."""
    if package not in _TOLD_IN:
        return None
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        return None
    return read_build(package, Path(found.origin).parent)


def read_build(package: str, folder: Path) -> CudaBuild | None:
    """The build of `package` whose files lie in `folder`; None where they do not tell."""
    file, name = _TOLD_IN[package]
    try:
        source = (folder / file).read_text(encoding="utf-8")
    except OSError:
        return None
    version = _assigned(source, "__version__")
    return None if version is None else CudaBuild(version, _assigned(source, name) or "")


def _assigned(source: str, name: str) -> str | None:
    """The text that a line `name = '...'` or `name: type = '...'` assigns."""
    match = re.search(rf"^{name}\s*(?::[^=\n]*)?=\s*(.+?)\s*$", source, re.MULTILINE)
    try:
        value = ast.literal_eval(match[1]) if match else None
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None
