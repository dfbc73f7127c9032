"""Imports an engine's framework, and says what to type when it is not there."""

import importlib
from types import ModuleType

from tensordyno.errors import MissingPackage, Unsupported


def framework(package: str, extra: str) -> ModuleType:
    """The imported package.

    Raises MissingPackage when it is not installed, naming the extra of `pyproject.toml`, and
    Unsupported when it is installed but broken (a shared library that cannot be loaded).
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.partition(".")[0] == package.partition(".")[0]:
            raise MissingPackage(package, extra) from missing
        raise MissingPackage(missing.name or package, extra) from missing
    except (ImportError, OSError) as broken:
        why = str(broken).strip().partition("\n")[0]
        raise Unsupported(f"The Python package '{package}' is installed but broken: {why}.") from broken
