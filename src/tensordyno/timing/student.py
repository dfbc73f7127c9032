"""Quantiles of Student's t distribution from the incomplete beta function, without SciPy."""

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_NEARLY_NORMAL = 1e6  # degrees of freedom from which two terms of the expansion are exact to 1e-12


@lru_cache(maxsize=65536)
def t_quantile(probability: float, degrees: float) -> float:
    """The value below which Student's t with `degrees` degrees of freedom falls with `probability`.

    Newton's method on the survival function, which is convex to the right of zero; started at the
    normal quantile, which lies left of the root, it climbs to it without ever overshooting. Raises
    ValueError outside 0 < probability < 1 and for degrees <= 0.
    """
    if not 0 < probability < 1 or not degrees > 0:
        raise ValueError(f"no t quantile for probability {probability} and {degrees} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    t = _NORMAL.inv_cdf(probability)
    if degrees >= _NEARLY_NORMAL:
        return t + (t**3 + t) / (4 * degrees)  # Abramowitz & Stegun 26.7.5
    tail = 1 - probability
    for _ in range(2000):  # a heavy tail doubles t at each step; no probability needs more than 1100
        step = (t_survival(t, degrees) - tail) / _density(t, degrees)
        t += step
        if abs(step) <= 1e-12 * (1 + t):
            break
    return t


def t_survival(t: float, degrees: float) -> float:
    """The probability that Student's t exceeds `t` >= 0 (Abramowitz & Stegun 26.7.1 and 26.5.27)."""
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), DLMF 8.17.22, for 0 <= x <= 1.

    The continued fraction converges fast left of the mean; right of it, the symmetry
    I_x(a, b) = 1 - I_(1-x)(b, a) brings x there.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) / a * _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1/(1+ d1/(1+ d2/(1+ ...))) by the modified Lentz method (Press et al., Numerical Recipes 5.2)."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _density(t: float, degrees: float) -> float:
    front = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(front - (degrees + 1) / 2 * math.log1p(t * t / degrees))
