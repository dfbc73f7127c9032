"""Imports what forge runs on, and says what to type when it is not there."""

import importlib
from types import ModuleType

from tensordyno.errors import MissingPackage, Unsupported

_EXTRA = "forge"


def needed(package: str) -> ModuleType:
    """The imported package, by its dotted name.

    Raises MissingPackage, or Unsupported where it is installed but broken (a library that cannot be loaded).
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as missing:
        raise MissingPackage(_root(missing.name or package), _EXTRA) from missing
    except (ImportError, OSError) as broken:
        why = str(broken).strip().partition("\n")[0]
        raise Unsupported(
            f"The Python package '{_root(package)}' is installed but broken: {why}."
        ) from broken


def _root(package: str) -> str:
    return package.partition(".")[0]
