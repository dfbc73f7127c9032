"""Printing a value with its unit and its uncertainty.

Units live in names (`latency_s`, `energy_j`, `size_bytes`); this file is where they become text.
"""

import math
from collections.abc import Iterable

_SI_PREFIXES = (
    *((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")),
    *((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")),
)
_BINARY_PREFIXES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def significant(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, never in exponent form, thousands separated.

    >>> significant(12345.6), significant(0.012345), significant(52.04)
    ('12,346', '0.0123', '52.0')
    """
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def with_unit(value: float, unit: str, digits: int = 3) -> str:
    """`value` scaled to the nearest SI prefix: `with_unit(0.0192, "s")` is '19.2 ms'."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return f"0 {unit}"
    for factor, prefix in _SI_PREFIXES:
        if abs(value) >= factor * 0.9995:
            return f"{significant(value / factor, digits)} {prefix}{unit}"
    factor, prefix = _SI_PREFIXES[-1]
    return f"{significant(value / factor, digits)} {prefix}{unit}"


def bytes_text(size_bytes: float) -> str:
    """A byte count with its binary prefix: `bytes_text(1536)` is '1.50 KiB'."""
    for factor, unit in _BINARY_PREFIXES:
        if abs(size_bytes) >= factor:
            return f"{significant(size_bytes / factor)} {unit}"
    return "0 B"


def with_interval(value: float, low: float, high: float) -> str:
    """A value and the half-width of its interval in percent: '52.0 ±0.8 %'."""
    if value == 0 or not all(map(math.isfinite, (value, low, high))):
        return significant(value)
    return f"{significant(value)} ±{significant(100 * (high - low) / 2 / abs(value), 2)} %"


def points_text(value: float, low: float, high: float) -> str:
    """A difference of two fractions in percentage points: '-0.05 points (-0.31 to +0.21)'."""
    inside = f" ({_points(low)} to {_points(high)})" if math.isfinite(low + high) else ""
    return f"{_points(value)} points{inside}"


def _points(fraction: float) -> str:
    text = f"{100 * fraction:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def ratio_text(ratio: float, low: float, high: float) -> str:
    """A speed ratio with its interval: '1.64x (1.62-1.67)'."""
    return f"{ratio:.2f}x ({low:.2f}-{high:.2f})"


def ranges_text(numbers: Iterable[int]) -> str:
    """Numbers in ascending order, neighbours as ranges: '0-3, 8'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
