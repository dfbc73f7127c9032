"""The public contract `summary.json`: one flat object a trial, in plain types, null where unknown.

Scripts of other people rely on these keys. They may grow; none may vanish or change its meaning
without a new `schema`.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run
from tensordyno.timing.intervals import Interval

SCHEMA = 1
_INTERVALS = frozenset(
    {
        *("images_per_s", "latency_p50_s", "latency_p90_s", "latency_p99_s"),
        *("top1", "top5", "top1_difference", "top5_difference"),
        *("speedup", "scaling_efficiency"),
    }
)


def summary(run: Run, scores: Sequence[Score]) -> dict[str, Any]:
    """What `summary.json` holds and `--json` prints: `json.dumps` takes it as it is."""
    return {
        "schema": SCHEMA,
        "run": run.header.run,
        "machine": _plain(msgspec.to_builtins(run.header.machine)),
        "trials": [flat(score) for score in scores],
    }


def flat(score: Score) -> dict[str, Any]:
    """One trial as plain types; a value with an interval becomes `name` and `name_ci95` [low, high]."""
    row: dict[str, Any] = {}
    for name in Score.__struct_fields__:
        value = getattr(score, name)
        if name in _INTERVALS:
            row[name] = value.value if value else None
            row[f"{name}_ci95"] = _bounds(value)
        else:
            row[name] = value
    return {name: _plain(value) for name, value in row.items()}


def _bounds(interval: Interval | None) -> list[float] | None:
    return [interval.low, interval.high] if interval and interval.is_bounded else None


def _plain(value: Any) -> Any:
    """JSON knows neither NaN nor infinity, and enums are not for other people's scripts."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
