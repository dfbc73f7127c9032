"""The contract of a calibration method: a histogram in, a clipping threshold out.

A method is one file in this folder. It defines

    SUMMARY = "one line for --help"                          (a literal)
    PARAMETER = None, or the default of the number that may follow the name (`percentile:99.9`)
    def threshold(histogram: Histogram, parameter: float | None) -> float

`threshold` returns a finite number above 0 and at most the largest absolute value seen. It may assume
that the histogram holds at least one value other than 0. It raises UsageError (`bad-method`) for a
parameter out of bounds.
"""

from collections.abc import Callable

from tensordyno.catalogue import Catalogue
from tensordyno.errors import UsageError
from tensordyno.quantize.histogram import Histogram

METHODS = Catalogue("quantize.methods", "calibration method")
AUTO = "auto"


def method(text: str) -> Callable[[Histogram], float]:
    """The method that a text such as `entropy` or `percentile:99.9` names.

    Raises UnknownName with the nearest names, UsageError (`bad-method`) for a wrong parameter.
    """
    name, colon, number = text.partition(":")
    member = METHODS.module(name)
    if colon and member.PARAMETER is None:
        raise UsageError("bad-method", f"The method {name} takes no number.", f"Type: {name}")
    try:
        parameter = float(number) if colon else member.PARAMETER
    except ValueError:
        remedy = f"For example: {name}:{member.PARAMETER}"
        raise UsageError("bad-method", f"'{number}' in '{text}' is no number.", remedy) from None

    def threshold(histogram: Histogram) -> float:
        found: float = member.threshold(histogram, parameter)
        return found

    return threshold
