"""Short ways to write a key, spelled out: `engines: torch,openvino` becomes a list of mappings.

Works on plain data before it is checked; anything it does not know it leaves to `check`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tensordyno.errors import SpecError
from tensordyno.spec import ranges
from tensordyno.spec.engine_text import parse_engine, split_engines
from tensordyno.spec.places import KeyPath, Places
from tensordyno.spec.preprocessing_text import EXAMPLE, numbers, parse_preprocessing

_WORDS = ("precisions", "boundaries", "devices", "allocator")


def spell_out(raw: dict[str, Any], places: Places) -> dict[str, Any]:
    """The same data with every shorthand written in full, blocks included.

    Raises SpecError for a range or an engine's text that cannot be read.
    """
    full = _product(raw, (), places)
    blocks = full.get("blocks")
    if isinstance(blocks, list):
        full["blocks"] = [
            _product(block, ("blocks", i), places) if isinstance(block, dict) else block
            for i, block in enumerate(blocks)
        ]
    telemetry = full.get("telemetry")
    if isinstance(telemetry, dict) and isinstance(telemetry.get("sources"), str):
        full["telemetry"] = telemetry | {"sources": _split(telemetry["sources"])}
    return full


def _product(raw: dict[str, Any], path: KeyPath, places: Places) -> dict[str, Any]:
    full = dict(raw)
    for key in _WORDS:
        if isinstance(full.get(key), str):
            full[key] = _split(full[key])
    _each(full, "models", _split, lambda text, at: {"name": text}, path)
    if "engines" in full:
        full["engines"] = _named_null(full["engines"])
    _each(full, "engines", split_engines, lambda text, at: _engine(text, at, places), path)
    if isinstance(full.get("devices"), list):
        full["devices"] = ["cuda:0" if device == "cuda" else device for device in full["devices"]]
    if "gpus" in full:
        full["gpus"] = _counts(full["gpus"])
    if "batch_sizes" in full:
        full["batch_sizes"] = _batches(full["batch_sizes"], (*path, "batch_sizes"), places)
    if isinstance(full.get("calibration"), dict):
        full["calibration"] = _calibration(full["calibration"])
    _look(full, path, places)
    for index, model in enumerate(full["models"] if isinstance(full.get("models"), list) else ()):
        if isinstance(model, dict):
            full["models"][index] = _look(dict(model), (*path, "models", index), places)
    return full


def _calibration(raw: dict[str, Any]) -> dict[str, Any]:
    """`images: 50x25,10x25`, `methods: entropy,mse` and `seeds: 1,2` as lists."""
    full = dict(raw)
    for key in ("images", "methods", "seeds"):
        if isinstance(full.get(key), str):
            full[key] = _split(full[key])
        elif isinstance(full.get(key), int):
            full[key] = [full[key]]
    if isinstance(full.get("seeds"), list):
        full["seeds"] = [_whole(seed) for seed in full["seeds"]]
    if "keep_fp32" in full:
        full["keep_fp32"] = _whole(full["keep_fp32"])
    return full


def _counts(value: Any) -> Any:
    """`gpus: 1,2,4` and `gpus: 2` as a list."""
    items = _split(value) if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [_whole(item) for item in items]


def _whole(value: Any) -> Any:
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal()
    return int(value) if is_number else value


def _look(full: dict[str, Any], path: KeyPath, places: Places) -> dict[str, Any]:
    """`preprocessing: resize=256,mean=0.5` as a mapping; an empty one asks for nothing."""
    look = full.get("preprocessing")
    if isinstance(look, str):
        try:
            look = parse_preprocessing(look)
        except ValueError as wrong:
            at = (*path, "preprocessing")
            raise places.error(at, "bad-preprocessing", f"{wrong}.", EXAMPLE) from wrong
    if isinstance(look, dict):
        spelled = {key: numbers(v) if key in ("mean", "std") else v for key, v in look.items()}
        full["preprocessing"] = spelled or None
    return full


def _named_null(engines: Any) -> Any:
    """In YAML a bare `null` is nothing; where an engine is wanted it is the engine of that name."""
    if isinstance(engines, list):
        return [_named_null(engine) for engine in engines]
    if isinstance(engines, dict) and engines.get("name", "") is None:
        return engines | {"name": "null"}
    return "null" if engines is None else engines


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _each(
    full: dict[str, Any],
    key: str,
    split: Callable[[str], list[str]],
    item: Callable[[str, KeyPath], dict[str, Any]],
    path: KeyPath,
) -> None:
    """Turn a text or a list of texts under `key` into a list of mappings."""
    value = split(full[key]) if isinstance(full.get(key), str) else full.get(key)
    if isinstance(value, dict) and "name" in value:
        value = [value]
    if isinstance(value, list):
        spelled = [item(v, (*path, key, i)) if isinstance(v, str) else v for i, v in enumerate(value)]
        full[key] = spelled


def _engine(text: str, path: KeyPath, places: Places) -> dict[str, Any]:
    try:
        choice: dict[str, Any] = msgspec.to_builtins(parse_engine(text))
    except SpecError as wrong:
        raise places.error(path, wrong.slug, wrong.sentence, wrong.remedy) from wrong
    return choice


def _batches(value: Any, path: KeyPath, places: Places) -> Any:
    items = value if isinstance(value, list) else [value]
    sizes: list[Any] = []
    for index, item in enumerate(items):
        try:
            sizes += ranges.parse_batches(item) if isinstance(item, str) else [item]
        except ValueError as wrong:
            at = (*path, index) if isinstance(value, list) else path
            raise places.error(at, "bad-range", f"{wrong}.", f"Allowed: {ranges.ALLOWED}.") from wrong
    return sizes
