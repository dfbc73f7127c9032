"""Preprocessing written as text: 'resize=256,mean=0.485:0.456:0.406,channels=bgr'."""

from collections.abc import Mapping
from typing import Any

_EXAMPLE = "resize=256,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,channels=bgr"
EXAMPLE = f"For example: {_EXAMPLE}"
_NOTHING = ("none", "null")


def parse_preprocessing(text: str) -> dict[str, Any]:
    """The settings that a text names; `mean` and `std` are lists, one number or one a channel.

    Names and values are still to be checked against the rules. Raises ValueError, saying what is wrong,
    for text that is not key=value,key=value.

    >>> parse_preprocessing("resize=256,mean=0.5,std=0.2:0.2:0.2")
    {'resize': 256, 'mean': [0.5], 'std': [0.2, 0.2, 0.2]}
    """
    settings: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not key or not equals or not value:
            raise ValueError(f"'{part.strip()}' is not key=value")
        if key in settings:
            raise ValueError(f"'{key}' is given twice")
        settings[key] = numbers(value) if key in ("mean", "std") else _word(value)
    return settings


def preprocessing_text(settings: Mapping[str, Any]) -> str:
    """The text that `parse_preprocessing` reads as these settings.

    >>> preprocessing_text({"resize": None, "mean": (0.5, 0.4, 0.3)})
    'resize=none,mean=0.5:0.4:0.3'
    """
    return ",".join(f"{key}={_value_text(value)}" for key, value in settings.items())


def numbers(value: Any) -> Any:
    """A mean or deviation as a list: '0.5:0.4:0.3' has three numbers, 0.5 has one."""
    if isinstance(value, str):
        return [_number(part) for part in value.split(":")]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


def _value_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ":".join(map(str, value))
    return "none" if value is None else str(value)


def _word(value: str) -> Any:
    if value.lower() in _NOTHING:
        return None
    return int(value) if value.isdecimal() and value.isascii() else value


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text  # the rule for it says what was found
