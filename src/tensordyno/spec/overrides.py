"""`--set key=value`: single keys of a spec changed from the command line."""

from collections.abc import Sequence
from typing import Any

from tensordyno.errors import SpecError
from tensordyno.spec.nodes import parse_value
from tensordyno.spec.places import KeyPath, Places, key_text

_TYPE = "Type for example: --set measure.min_seconds=5"


def apply_sets(raw: dict[str, Any], sets: Sequence[str], places: Places) -> None:
    """Change `raw` and `places` as `sets` say, each 'key.subkey.0=value' with the value read as YAML.

    Raises SpecError naming the --set that is no assignment, leads nowhere, or would change nothing
    because every block sets that key itself.
    """
    for text in sets:
        path, value = _parse(text)
        origin = f"--set {text}"
        _refuse_hidden(raw, path, origin)
        _put(raw, path, value, origin)
        places.replace(path, origin)


def _parse(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise SpecError("bad-set", f"--set {text}: this is not key=value.", _TYPE)
    try:
        parsed = parse_value(value)
    except ValueError as wrong:
        raise SpecError("bad-set", f"--set {text}: {wrong}", _TYPE) from wrong
    return tuple(int(part) if part.isdecimal() else part for part in parts), parsed


def _put(raw: dict[str, Any], path: KeyPath, value: Any, origin: str) -> None:
    inner: Any = raw
    for depth, part in enumerate(path[:-1]):
        if isinstance(inner, dict) and part not in inner and isinstance(part, str):
            inner[part] = {}
        inner = _step(inner, path[: depth + 1], origin)
    last = path[-1]
    if isinstance(inner, dict):
        inner[str(last)] = value
    else:
        _step(inner, path, origin)
        inner[last] = value


def _step(inner: Any, path: KeyPath, origin: str) -> Any:
    try:
        if isinstance(inner, str):
            raise TypeError
        return inner[path[-1]]
    except (KeyError, IndexError, TypeError):
        raise SpecError("bad-set", f"{origin}: the spec has no {key_text(path)}.", _TYPE) from None


def _refuse_hidden(raw: dict[str, Any], path: KeyPath, origin: str) -> None:
    """A top-level key that every block sets again would change without any effect."""
    blocks = raw.get("blocks")
    if path[0] == "blocks" or not isinstance(blocks, list) or not blocks:
        return
    if all(_holds(block, path) for block in blocks):
        key = key_text(path)
        remedy = f"Type: {' '.join(f'--set blocks.{i}.{key}=...' for i in range(len(blocks)))}"
        raise SpecError("set-without-effect", f"{origin}: every block of the spec sets {key} itself.", remedy)


def _holds(block: Any, path: KeyPath) -> bool:
    for part in path:
        if not isinstance(block, dict) or part not in block:
            return False
        block = block[part]
    return True
