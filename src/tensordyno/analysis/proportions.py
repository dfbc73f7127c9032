"""The interval of a fraction of right answers."""

import math
from statistics import NormalDist

from tensordyno.timing.intervals import CONFIDENCE, Interval

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def wilson(successes: int, total: int) -> Interval | None:
    """`successes` of `total` as a fraction with Wilson's 95 % score interval; None when total is 0.

    (p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), E. B. Wilson, JASA 22 (1927); it stays
    inside 0..1 and holds near its ends, where the normal interval does not (Brown, Cai & DasGupta,
    Statistical Science 16, 2001). Raises ValueError unless 0 <= successes <= total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is no fraction")
    if total == 0:
        return None
    fraction = successes / total
    shrink = 1 + _Z**2 / total
    middle = (fraction + _Z**2 / (2 * total)) / shrink
    half = _Z * math.sqrt(fraction * (1 - fraction) / total + _Z**2 / (4 * total**2)) / shrink
    # at both ends the formula gives the fraction itself, up to rounding
    return Interval(
        value=fraction,
        low=max(0.0, min(middle - half, fraction)),
        high=min(1.0, max(middle + half, fraction)),
    )
