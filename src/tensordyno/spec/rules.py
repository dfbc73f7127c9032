"""What each key of a spec allows: one table, read by `check` and by every message about a wrong value."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tensordyno.spec import calibration_text, ranges
from tensordyno.vocabulary import Boundary, Precision, Task

ALLOCATORS = ("default", "keep")
CLOCKS = ("real", "fake")
CHANNELS = ("rgb", "bgr", "grey")
LAYOUTS = ("nchw", "nhwc")
_LONGEST_S = 7 * 24 * 3600.0  # a week; infinity is not a duration
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Rule:
    """What a value may be. `many`: a list of such, never empty; `inside`: a mapping with these keys."""

    allowed: str
    accepts: Callable[[Any], bool] = lambda value: True
    many: bool = False
    may_be_empty: bool = False
    names: tuple[str, ...] = ()
    slug: str = "bad-value"
    inside: Mapping[str, "Rule"] | None = None
    needs: tuple[str, ...] = ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _seconds(*, zero: bool = False) -> Rule:
    least = "0 or more" if zero else "above 0"

    def accepts(value: Any) -> bool:
        return _is_number(value) and (value >= 0 if zero else value > 0) and value <= _LONGEST_S

    return Rule(f"a number of seconds {least}, at most a week", accepts)


def _fraction() -> Rule:
    return Rule("a fraction between 0 and 1, for example 0.01", lambda v: _is_number(v) and 0 < v < 1)


def _whole(least: int) -> Rule:
    return Rule(f"a whole number, {least} or more", lambda v: _is_whole(v, least))


def _optional(rule: Rule) -> Rule:
    return Rule(f"{rule.allowed}, or null", lambda v: v is None or rule.accepts(v))


def _one_of(names: type[StrEnum] | tuple[str, ...], slug: str = "bad-value", *, many: bool = False) -> Rule:
    known = tuple(str(name) for name in names)
    return Rule(f"one of {', '.join(known)}", lambda v: v in known, many=many, names=known, slug=slug)


def _is_mean(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_deviation(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1e6


def _is_drop(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1


def _channels_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, list) and len(values) in (1, 3) and all(map(accepts, values))


def _images(value: Any) -> bool:
    try:
        calibration_text.parse_images(value)
    except (TypeError, AttributeError, ValueError):
        return False
    return True


def _device(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"cpu|cuda(:\d{1,3})?", value) is not None


_TEXT = Rule("text", _is_text)
_PROSE = Rule("text", lambda v: isinstance(v, str))
_SWITCH = Rule("true or false", lambda v: isinstance(v, bool))
_MAPPING = Rule("a mapping of option: value", lambda v: isinstance(v, dict))

PREPROCESSING: Mapping[str, Rule] = {
    "resize": Rule("a number of pixels, or null for no crop", lambda v: v is None or _is_whole(v, 1)),
    "mean": Rule("1 or 3 numbers between 0 and 1, for example 0.485:0.456:0.406", _channels_of(_is_mean)),
    "std": Rule("1 or 3 numbers above 0, for example 0.229:0.224:0.225", _channels_of(_is_deviation)),
    "channels": _one_of(CHANNELS),
    "layout": _one_of(LAYOUTS),
}
_LOOK = Rule(f"a mapping of {', '.join(PREPROCESSING)}, or null", may_be_empty=True, inside=PREPROCESSING)

MODEL: Mapping[str, Rule] = {
    "name": _TEXT,
    "weights": _optional(_TEXT),
    "dataset": _optional(_TEXT),
    "preprocessing": _LOOK,
}
ENGINE: Mapping[str, Rule] = {"name": _TEXT, "options": _MAPPING, "python": _optional(_TEXT)}

MEASURE: Mapping[str, Rule] = {
    "min_seconds": _seconds(),
    "max_seconds": _seconds(),
    "target_half_width": _fraction(),
    "burst_seconds": _seconds(),
    "warmup_seconds": _seconds(zero=True),
    "max_probe_loss": _fraction(),
    "clock": _one_of(CLOCKS),
    "energy_seconds": _optional(_seconds(zero=True)),
}

TELEMETRY: Mapping[str, Rule] = {
    "interval_s": _seconds(),
    "sources": Rule(
        "a list of sensors, [] for none, or null for all", _is_text, many=True, may_be_empty=True
    ),
    "overhead": _SWITCH,
    "regulator_efficiency": Rule("a fraction above 0, at most 1", lambda v: _is_number(v) and 0 < v <= 1),
}

LIMITS: Mapping[str, Rule] = {
    "build_seconds": _seconds(),
    "burst_grace_seconds": _seconds(),
    "max_alive": _whole(1),
}

CALIBRATION: Mapping[str, Rule] = {
    "data": _optional(_TEXT),
    "images": Rule(calibration_text.ALLOWED, _images, many=True, slug="bad-calibration"),
    "methods": Rule("names of methods, for example entropy or percentile:99.9", _is_text, many=True),
    "seeds": Rule("whole numbers, 0 or more", lambda v: _is_whole(v, 0), many=True),
    "keep_fp32": Rule("a number of layers, 0 or more, or auto", lambda v: v == "auto" or _is_whole(v, 0)),
    "max_drop": Rule("a fraction, 0 or more and below 1, for example 0.003", _is_drop),
    "first_layer": _SWITCH,
    "last_layer": _SWITCH,
}

PRODUCT: Mapping[str, Rule] = {
    "task": _one_of(Task),
    "models": Rule("names of networks", many=True, inside=MODEL, needs=("name",)),
    "engines": Rule("names of engines", many=True, inside=ENGINE, needs=("name",)),
    "precisions": _one_of(Precision, "unknown-precision", many=True),
    "batch_sizes": Rule(ranges.ALLOWED, lambda v: _is_whole(v, 1), many=True),
    "boundaries": _one_of(Boundary, many=True),
    "devices": Rule("cpu, cuda or cuda:N", _device, many=True),
    "gpus": Rule("numbers of devices, for example 1,2,4", lambda v: _is_whole(v, 1), many=True),
    "threads": _optional(_whole(1)),
    "allocator": _one_of(ALLOCATORS, many=True),
    "dataset": _optional(_TEXT),
    "weights": _optional(_TEXT),
    "measure": Rule("a mapping", inside=MEASURE),
    "verify_images": _whole(1),
    "accuracy_images": _whole(0),
    "skip_unreadable": _SWITCH,
    "calibration": Rule("a mapping", inside=CALIBRATION),
    "preprocessing": _LOOK,
}

SPEC: Mapping[str, Rule] = {
    "name": _PROSE,
    "purpose": _PROSE,
    **PRODUCT,
    "seed": _whole(0),
    "baseline": _optional(_TEXT),
    "latency_bound_s": _optional(_seconds()),
    "telemetry": Rule("a mapping", inside=TELEMETRY),
    "limits": Rule("a mapping", inside=LIMITS),
    "interleave": _SWITCH,
    "largest_batch": _SWITCH,
    "ceilings": _SWITCH,
    "blocks": Rule("a list of mappings, each a product of its own", many=True, inside=PRODUCT),
}
