"""Reads a spec from a YAML file, a text or a command's flags, and writes it back complete."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tensordyno.errors import SpecError, UsageError
from tensordyno.spec.check import check
from tensordyno.spec.nodes import SpecDumper, parse_yaml
from tensordyno.spec.overrides import apply_sets
from tensordyno.spec.places import KeyPath, Places
from tensordyno.spec.schema import Spec

DEMO = Path(__file__).parents[1] / "data" / "demo.yaml"
_PLAIN_NAME = re.compile(r"[\w./+~-]+")  # needs no mapping to be read back as one name
_LEFT_OUT_EMPTY = ("models", "engines", "blocks")


@dataclass(frozen=True)
class SpecFile:
    """A spec, and where each of its keys was written."""

    spec: Spec
    places: Places


def load_spec(path: Path, sets: Sequence[str] = ()) -> SpecFile:
    """The spec in a YAML file, changed by `sets` ('key=value').

    Raises UsageError when the file cannot be read, and SpecError (file, line, key, what was found,
    what is allowed) when it is not a spec.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as wrong:
        reason = wrong.strerror or "cannot be read"
        raise UsageError("no-spec", f"{path}: {reason}.", "Type: dyno run SPEC.yaml") from wrong
    except UnicodeDecodeError as wrong:
        raise SpecError("bad-yaml", f"{path}: not YAML: not UTF-8 text.") from wrong
    return spec_from_text(text, str(path), sets, name=path.stem)


def spec_from_text(text: str, origin: str, sets: Sequence[str] = (), name: str = "") -> SpecFile:
    """The spec in a YAML text; `origin` stands for the file's name in errors. Raises SpecError."""
    raw, places = parse_yaml(text, origin)
    return _finish(raw, places, sets, name)


def spec_from_flags(
    raw: Mapping[str, Any], origins: Mapping[str, str], sets: Sequence[str] = (), name: str = ""
) -> SpecFile:
    """The spec that a command's flags make.

    `raw` maps keys to what was typed, shorthand and all ({"engines": "torch,openvino"}); `origins`
    maps keys to the flag that an error names ({"engines": "--engine", "measure.min_seconds":
    "--min-seconds"}). Raises SpecError.
    """
    at: dict[KeyPath, str] = {tuple(key.split(".")): flag for key, flag in origins.items()}
    return _finish(dict(raw), Places(at), sets, name)


def dump(spec: Spec) -> str:
    """YAML text of a spec, complete with defaults; loading it gives an equal spec."""
    data: dict[str, Any] = msgspec.to_builtins(spec)
    data = {"name": data.pop("name"), "purpose": data.pop("purpose"), **data}
    for key in _LEFT_OUT_EMPTY:
        if not data[key]:
            del data[key]
    for part in (data, *data.get("blocks", ())):
        _shorten(part)
    text: str = yaml.dump(
        data, Dumper=SpecDumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return text


def _finish(raw: Any, places: Places, sets: Sequence[str], name: str) -> SpecFile:
    raw = {} if raw is None else raw
    if isinstance(raw, dict):
        apply_sets(raw, sets, places)
        if name:
            raw.setdefault("name", name)
    return SpecFile(check(raw, places), places)


def _shorten(part: dict[str, Any]) -> None:
    """Choices without extras are written as their bare name."""
    for key in ("models", "engines"):
        if key in part:
            part[key] = [_name_or_mapping(choice) for choice in part[key]]


def _name_or_mapping(choice: dict[str, Any]) -> Any:
    set_keys = {key: value for key, value in choice.items() if value not in (None, {})}
    is_plain = list(set_keys) == ["name"] and _PLAIN_NAME.fullmatch(choice["name"])
    return choice["name"] if is_plain else set_keys
