"""The largest absolute value seen: nothing is clipped, one outlier decides the step."""

from tensordyno.quantize.histogram import Histogram

SUMMARY = "the largest absolute value; clips nothing, and suffers from a single outlier"
PARAMETER = None


def threshold(histogram: Histogram, parameter: float | None) -> float:
    """The exact largest absolute value, in the tensor's unit."""
    return histogram.largest
