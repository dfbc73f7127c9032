"""Lists a catalogue's members by file name and entry point; imports one on demand.

A catalogue is a package whose files are its members: `engines/openvino.py` is the engine `openvino`. A
member whose name in the field differs from its file says so: `engines/torch_eager.py` holds
`NAME = "torch"`. Listing never imports a member, so the parent process stays free of frameworks; for
the same reason `literal` reads a module-level constant from the source text.
"""

import ast
import importlib
import importlib.util
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from tensordyno.errors import UnknownName

_NOT_MEMBERS = frozenset({"__init__", "base"})


class Catalogue:
    """The members of `tensordyno.<folder>` and of the entry-point group of the same name.

    `kind` is the singular noun used in messages; files named in `besides` are shared code, not members.
    """

    def __init__(self, folder: str, kind: str, besides: frozenset[str] = frozenset()) -> None:
        self.folder = folder
        self.kind = kind
        self._besides = _NOT_MEMBERS | besides

    def names(self) -> tuple[str, ...]:
        """Every member's name, ours first, in alphabetical order."""
        return (*sorted(self._files()), *sorted(self._entry_points()))

    def module(self, name: str) -> ModuleType:
        """Import one member's module.

        Raises UnknownName, offering the nearest names, when there is no such member.
        """
        if name in self._files():
            return importlib.import_module(f"tensordyno.{self.folder}.{self._files()[name].stem}")
        if name in self._entry_points():
            return importlib.import_module(self._entry_points()[name].module)
        raise UnknownName(self.kind, name, self.names())

    def literal(self, name: str, constant: str) -> Any:
        """The value of a member's module-level literal, read without importing the member.

        Returns None when the member does not define `constant`.
        """
        return _literal(self.source(name), constant)

    def source(self, name: str) -> Path:
        """The file that defines a member, found without importing it.

        Raises UnknownName, offering the nearest names, when there is no such member.
        """
        if name in self._files():
            return self._files()[name]
        if name in self._entry_points():
            found = importlib.util.find_spec(self._entry_points()[name].module)
            if found is not None and found.origin:
                return Path(found.origin)
        raise UnknownName(self.kind, name, self.names())

    def _files(self) -> dict[str, Path]:
        folder = Path(__file__).parent.joinpath(*self.folder.split("."))
        members = (f for f in folder.glob("*.py") if f.stem not in self._besides)
        return {_literal(f, "NAME") or f.stem.replace("_", "-"): f for f in members}

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {e.name: e for e in _group(f"tensordyno.{self.folder}")}


@cache
def _group(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


@cache
def _literal(source: Path, constant: str) -> Any:
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        if any(isinstance(t, ast.Name) and t.id == constant for t in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return None
