"""How single values read in every table: digits, units, intervals, and a dash for what is unknown."""

from tensordyno.analysis.baseline import Relative
from tensordyno.analysis.scores import Interval
from tensordyno.figures.labels import points
from tensordyno.units import significant, with_interval, with_unit
from tensordyno.vocabulary import Verdict

UNKNOWN = "–"


def rate(interval: Interval | None) -> str:
    """Images per second: '52.0 ±0.8 %', or the bare value where the interval is refused."""
    return with_interval(interval.value, interval.low, interval.high) if interval else UNKNOWN


def duration(seconds: Interval | float | None) -> str:
    """'19.2 ms'."""
    if seconds is None:
        return UNKNOWN
    return with_unit(seconds if isinstance(seconds, float) else seconds.value, "s")


def duration_range(seconds: Interval) -> str:
    """'18.9-19.4 ms', or nothing where the interval is refused."""
    if not seconds.is_bounded:
        return ""
    low, high = with_unit(seconds.low, "s"), with_unit(seconds.high, "s")
    unit = high.rpartition(" ")[2]
    return f"{low.removesuffix(f' {unit}')}–{high}"


def ratio(relative: Relative | None) -> str:
    """'2.03× (2.01–2.05)'."""
    return times(relative.ratio.interval if relative else None)


def times(interval: Interval | None) -> str:
    """A ratio of two throughputs: '2.03× (2.01–2.05)', or the bare value where the interval is refused."""
    if interval is None:
        return UNKNOWN
    doubt = f" ({interval.low:.2f}–{interval.high:.2f})" if interval.is_bounded else ""
    return f"{interval.value:.2f}×{doubt}"


def share(interval: Interval | None, digits: int = 2) -> str:
    """A share of a whole: '90.90 % (89.6–92.1)', or the bare value where the interval is refused."""
    if interval is None:
        return UNKNOWN
    doubt = f" ({100 * interval.low:.1f}–{100 * interval.high:.1f})" if interval.is_bounded else ""
    return f"{percent(interval.value, digits)}{doubt}"


def signed(value: float, digits: int = 2) -> str:
    """A number whose minus sign is one: '−0.15', '0.15'."""
    return f"{value:.{digits}f}".replace("-", "−")


def percent(fraction: float | None, digits: int = 2) -> str:
    """'90.90 %'."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f} %"


def difference(interval: Interval | None) -> str:
    """A difference of accuracies in points: '−0.15 (−0.62 to +0.31)'."""
    if interval is None:
        return UNKNOWN
    doubt = difference_range(interval)
    return f"{points(interval.value)}{f' ({doubt})' if doubt else ''}"


def difference_range(interval: Interval) -> str:
    """'−0.62 to +0.31', or nothing where the interval is refused."""
    return f"{points(interval.low)} to {points(interval.high)}" if interval.is_bounded else ""


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits and a unit."""
    return UNKNOWN if value is None else f"{significant(value)} {unit}".strip()


def verdict(value: Verdict) -> str:
    """'out of memory'."""
    return value.value.replace("_", " ")


def listing(items: list[str], most: int = 4) -> str:
    """'a, b and c', or the first few 'and 7 more'."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
