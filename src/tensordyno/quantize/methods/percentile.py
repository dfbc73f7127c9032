"""The absolute value below which a given percentage of all values lies, zeros included."""

import math

import numpy as np

from tensordyno.errors import UsageError
from tensordyno.quantize.histogram import Histogram

SUMMARY = "clips the largest values: 99.99 clips one in ten thousand"
PARAMETER = 99.99


def threshold(histogram: Histogram, parameter: float | None) -> float:
    """The end of the first bin up to which at least `parameter` per cent of the values lie.

    That is numpy's `percentile(abs(x), parameter, method="inverted_cdf")` within one bin (at most
    1/16384 of the largest value). A tensor so sparse that its percentile is 0 keeps its largest value:
    the few values it has are its whole message. Raises UsageError (`bad-method`) unless 0 < parameter <= 100.
    """
    percent = PARAMETER if parameter is None else parameter
    if not 0 < percent <= 100:
        raise UsageError(
            "bad-method",
            f"A percentile of {percent:g} is not above 0 and at most 100.",
            "Type: percentile:99.99",
        )
    below = np.cumsum(histogram.counts)
    rank = math.ceil(round(percent * int(below[-1]) / 100, 6))  # 99.99 % of 10,000 are 9,999, not one more
    found = int(np.searchsorted(below, max(1, rank)))
    largest = histogram.largest
    return min((found + 1) * histogram.width, largest) if found else largest
