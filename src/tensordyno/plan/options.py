"""An engine's options against the fields it declares, before any worker starts."""

import re
from difflib import get_close_matches
from typing import Any

import msgspec

from tensordyno.engines.base import engine_class
from tensordyno.errors import SpecError
from tensordyno.records.trial import EngineChoice
from tensordyno.spec.places import KeyPath, Places, shown


def check_options(engine: EngineChoice, path: KeyPath, places: Places) -> None:
    """Raise SpecError for an option that the engine does not have, or a value it does not take.

    `path` is where the spec names the engine.
    """
    known = engine_class(engine.name).Options
    for option in engine.options:
        if option not in known.__struct_encode_fields__:
            raise _unknown(engine, option, known.__struct_encode_fields__, path, places)
    try:
        msgspec.convert(engine.options, known)
    except msgspec.ValidationError as wrong:
        raise _refused(engine, str(wrong), path, places) from wrong


def _unknown(
    engine: EngineChoice, option: str, known: tuple[str, ...], path: KeyPath, places: Places
) -> SpecError:
    near = get_close_matches(option, known, n=1, cutoff=0.5)
    options = ", ".join(known) or "none"
    hint = f"Did you mean {near[0]}?" if near else f"Its options: {options}."
    text = f"{engine.name} has no option of that name."
    return places.error((*path, "options", option), "unknown-option", text, hint)


def _refused(engine: EngineChoice, message: str, path: KeyPath, places: Places) -> SpecError:
    """Msgspec's 'Expected `int`, got `str` - at `$.streams`' with the place, the value and the choices."""
    reason, _, at = message.partition(" - at `$.")
    option = re.split(r"[.\[`]", at)[0]
    value = engine.options.get(option)
    text = f"found {shown(value)}; allowed: {_allowed(engine, option) or reason}."
    where = (*path, "options", option) if option else (*path, "options")
    return places.error(where, "bad-option", text)


def _allowed(engine: EngineChoice, option: str) -> str:
    fields = msgspec.inspect.type_info(engine_class(engine.name).Options).fields  # type: ignore[attr-defined]
    return " or ".join(_type_text(field.type) for field in fields if field.encode_name == option)


def _type_text(kind: Any) -> str:
    inspect = msgspec.inspect
    if isinstance(kind, inspect.UnionType):
        return ", ".join(_type_text(part) for part in kind.types)
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(map(str, kind.values))
    if isinstance(kind, inspect.EnumType):
        return ", ".join(str(member.value) for member in kind.cls)
    names = {"IntType": "a whole number", "FloatType": "a number", "StrType": "text"}
    names |= {"BoolType": "true or false", "NoneType": "null"}
    limits = [f"{word} {getattr(kind, key)}" for key, word in _LIMITS if getattr(kind, key, None) is not None]
    return " ".join([names.get(type(kind).__name__, type(kind).__name__), *limits])


_LIMITS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
