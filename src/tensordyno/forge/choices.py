"""Which kernel does an operation, in which variant: under what name that is kept, and where."""

import dataclasses
import hashlib
import logging
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tensordyno.forge.graph import Fused, Node
from tensordyno.forge.kernels.base import Choice
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import CHANNEL_GRAIN, Operation, View
from tensordyno.forge.version import forge_version, triton_version
from tensordyno.forge.whole_file import write_whole

_LOG = logging.getLogger(__name__)
_NAMES = {field.name for field in dataclasses.fields(Node)}  # of one place in one network
_APART = {"parts", "between"}  # of a fused node: told with their views


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of the catalogue and its variant. `us` is the time it took, None where nothing was timed.

    A fused operation may be computed by its parts, each as it was chosen; `kernel` then says so.
    """

    kernel: str
    choice: Choice
    us: float | None = None
    parts: tuple["Chosen", ...] = ()


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the cache; the facts are for people and against a name that stands for something else."""

    facts: dict[str, Any]
    chosen: Chosen


def facts_of(operation: Operation, batch_size: int) -> dict[str, Any]:
    """All that its speed depends on, ready for JSON: no names, no weights, no scales.

    Operations with the same facts take the same kernels and choices. Storages and scales are told by numbers,
    so that only those that are the same look the same; parts of a fused operation that share a storage are
    connected by it.
    """
    parts = parts_of(operation) if isinstance(operation.node, Fused) else ()
    views = [view for each in (operation, *parts) for view in _views(each)]
    storages = list(dict.fromkeys(view.storage for view in views))
    scales = list(dict.fromkeys(view.scale for view in views))

    def told(each: Operation) -> dict[str, Any]:
        return {
            "node": _plain(each.node),
            "views": [
                _of_view(view, storages.index(view.storage), scales.index(view.scale))
                for view in _views(each)
            ],
        }

    facts = {"precision": operation.precision.value, "batch_size": batch_size, **told(operation)}
    return {**facts, "parts": [told(part) for part in parts]} if parts else facts


def key_of(operation: Operation, batch_size: int) -> str:
    """A name for the facts: 32 hex digits, the same in every process."""
    return hashlib.sha256(_text(facts_of(operation, batch_size))).hexdigest()[:32]


class ChoiceCache:
    """Choices kept as one JSON file each, in a folder for this GPU and these versions of forge and Triton.

    A file is complete or not there. One that cannot be read counts as not there; the next `put` replaces it.
    """

    def __init__(self, root: Path, gpu: str) -> None:
        versions = f"{forge_version()}-triton-{triton_version()}"
        self.folder = root / "forge" / re.sub(r"[^A-Za-z0-9.]+", "-", gpu) / versions

    def get(self, operation: Operation, batch_size: int) -> Chosen | None:
        """What was chosen for an operation like this one; None where nobody knows."""
        path = self._path(operation, batch_size)
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as wrong:
            _LOG.warning("The kept choice %s cannot be read and is made anew: %s", path, wrong)
            return None
        same = _text(entry.facts) == _text(facts_of(operation, batch_size))
        return entry.chosen if same else None

    def put(self, operation: Operation, batch_size: int, chosen: Chosen) -> None:
        """Keep a choice. A disk that takes nothing is logged: choices are found again, only slower."""
        path = self._path(operation, batch_size)
        entry = _Entry(facts=facts_of(operation, batch_size), chosen=chosen)
        try:
            write_whole(path, [msgspec.json.format(msgspec.json.encode(entry)), b"\n"])
        except OSError as wrong:
            _LOG.warning("The choice %s cannot be kept: %s", path, wrong)

    def _path(self, operation: Operation, batch_size: int) -> Path:
        return self.folder / f"{key_of(operation, batch_size)}.json"


def _text(facts: dict[str, Any]) -> bytes:
    return msgspec.json.encode(facts, order="sorted")


def _views(operation: Operation) -> tuple[View, ...]:
    return *operation.inputs, operation.output


def _of_view(view: View, storage: int, scale: int) -> dict[str, Any]:
    return {
        "storage": storage,
        "scale": scale,
        "format": view.format.value,
        "shape": [view.height, view.width, view.channels],
        "pitch": view.pitch,
        "first": view.first % CHANNEL_GRAIN,  # decides how wide accesses can be
        "alone": view.is_whole,
    }


def _plain(value: Any) -> Any:
    """A node's facts, or a part of them."""
    if isinstance(value, np.ndarray):
        return [value.dtype.name, *value.shape]
    if dataclasses.is_dataclass(value):
        facts = {name: _plain(getattr(value, name)) for name in _field_names(value) - _NAMES - _APART}
        return {"is": type(value).__name__, **facts}
    if isinstance(value, float):
        return repr(float(value))  # JSON has no infinity
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _field_names(value: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(value))
