"""Plain data -> Spec: every key against its rule, and the first that breaks it as one line."""

from difflib import get_close_matches
from typing import Any

import msgspec

from tensordyno.spec.places import KeyPath, Places, shown
from tensordyno.spec.rules import SPEC, Rule
from tensordyno.spec.schema import Product, Spec
from tensordyno.spec.shorthand import spell_out

_RUN_KEYS = frozenset(Spec.__struct_fields__) - frozenset(Product.__struct_fields__)


def check(raw: Any, places: Places) -> Spec:
    """The spec that plain data describe.

    Raises SpecError naming the place, the key, what was found there and what is allowed.
    """
    if not isinstance(raw, dict):
        raise places.error((), "bad-value", f"found {shown(raw)}; a spec is a mapping of key: value.")
    full = spell_out(raw, places)
    _check(full, Rule("a mapping", inside=SPEC), (), places)
    _merge_mappings(full)
    spec = msgspec.convert(full, Spec)
    _check_products(spec, places)
    _check_baseline(spec, places)
    return spec


def _check(value: Any, rule: Rule, path: KeyPath, places: Places) -> None:
    if rule.many and not (rule.may_be_empty and value is None):
        _check_list(value, rule, path, places)
    else:
        _check_one(value, rule, path, places)


def _check_list(value: Any, rule: Rule, path: KeyPath, places: Places) -> None:
    if not isinstance(value, list):
        raise _refused(value, rule, path, places)
    if not value and not rule.may_be_empty:
        raise places.error(path, "empty-list", "the list is empty.", f"Allowed: {rule.allowed}.")
    for index, item in enumerate(value):
        _check_one(item, rule, (*path, index), places)


def _check_one(value: Any, rule: Rule, path: KeyPath, places: Places) -> None:
    if value is None and rule.may_be_empty:
        return
    if rule.inside is None:
        if not _accepts(rule, value):
            raise _refused(value, rule, path, places)
        return
    if not isinstance(value, dict):
        raise _refused(value, rule, path, places)
    for key, item in value.items():
        if key not in rule.inside:
            raise _unknown_key(key, rule, path, places)
        _check(item, rule.inside[key], (*path, key), places)
    for key in rule.needs:
        if key not in value:
            raise places.error(path, "missing-key", f"'{key}' is missing.")


def _accepts(rule: Rule, value: Any) -> bool:
    try:
        return rule.accepts(value)
    except TypeError:  # a list where a word is wanted
        return False


def _refused(value: Any, rule: Rule, path: KeyPath, places: Places) -> Exception:
    near = get_close_matches(value, rule.names, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]}?" if near else ""
    return places.error(path, rule.slug, f"found {shown(value)}; allowed: {rule.allowed}.{hint}")


def _unknown_key(key: str, rule: Rule, path: KeyPath, places: Places) -> Exception:
    known = rule.inside or {}
    at = (*path, key)
    if path[:1] == ("blocks",) and len(path) == 2 and key in _RUN_KEYS:
        text = f"'{key}' holds for the whole run and cannot be set in a block."
        return places.error(at, "unknown-key", text, "Move it to the top level.")
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Allowed: {', '.join(known)}."
    return places.error(at, "unknown-key", "there is no such key.", hint)


def _merge_mappings(full: dict[str, Any]) -> None:
    """A block that sets one key of `measure`, say, keeps the others of the top level."""
    for block in full.get("blocks", ()):
        for key in ("measure", "calibration", "preprocessing"):
            if block.get(key):
                block[key] = (full.get(key) or {}) | block[key]


def _check_products(spec: Spec, places: Places) -> None:
    for index, product in spec.placed_products():
        path: KeyPath = () if index is None else ("blocks", index)
        for key in ("models", "engines"):
            if not getattr(product, key):
                text = f"'{key}' is missing."
                raise places.error(path, "missing-key", text, f"Add for example: {_EXAMPLES[key]}")
        least, most = product.measure.min_seconds, product.measure.max_seconds
        if least > most:
            text = f"min_seconds {least:g} is more than max_seconds {most:g}."
            raise places.error((*path, "measure"), "bad-value", text, "Raise max_seconds.")


_EXAMPLES = {"models": "models: [resnet50]", "engines": "engines: [torch, onnxruntime]"}


def _check_baseline(spec: Spec, places: Places) -> None:
    engines = [engine for product in spec.products() for engine in product.engines]
    known = dict.fromkeys(name for engine in engines for name in (engine.name, engine.label))
    if spec.baseline is not None and spec.baseline not in known:
        text = f"'{spec.baseline}' is none of this spec's engines."
        raise places.error(("baseline",), "unknown-baseline", text, f"Known: {', '.join(known)}.")
