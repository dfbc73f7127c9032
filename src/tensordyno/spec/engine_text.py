"""Engines written as text: 'openvino', 'onnxruntime:provider=cuda', 'openvino:hint=throughput,streams=2'."""

import re
from typing import Any

from tensordyno.errors import SpecError
from tensordyno.records.trial import EngineChoice

_TYPE = "Type for example: openvino:hint=throughput,streams=2"
_OPTION = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)


def parse_engine(text: str) -> EngineChoice:
    """The engine a text means. The option `python` names the interpreter of its own environment.

    Option values are read as YAML (`2` is a number, `true` a truth value). Raises SpecError when the
    text is not NAME or NAME:option=value,option=value.
    """
    name, colon, tail = text.strip().partition(":")
    if not name or (colon and not tail):
        raise _bad(text)
    options = dict(_option(part, text) for part in tail.split(",")) if colon else {}
    python = options.pop("python", None)
    return EngineChoice(name=name, options=options, python=None if python is None else str(python))


def split_engines(text: str) -> list[str]:
    """Several engines separated by commas; `streams=2` in 'openvino:hint=x,streams=2' stays with its own."""
    found: list[str] = []
    for part in text.split(","):
        is_option = "=" in part and ":" not in part.split("=")[0]
        if is_option and found and ":" in found[-1]:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    return found


def parse_engines(text: str) -> tuple[EngineChoice, ...]:
    """Several engines: 'torch,openvino:hint=throughput,streams=2,onnxruntime' is three.

    Raises SpecError as `parse_engine` does.
    """
    return tuple(parse_engine(part) for part in split_engines(text))


def _option(part: str, text: str) -> tuple[str, Any]:
    from tensordyno.spec.nodes import parse_value

    found = _OPTION.fullmatch(part)
    if found is None:
        raise _bad(text)
    try:
        return found[1], parse_value(found[2])
    except ValueError as wrong:
        raise _bad(text) from wrong


def _bad(text: str) -> SpecError:
    return SpecError("bad-engine", f"'{text}' is not an engine with options.", _TYPE)
