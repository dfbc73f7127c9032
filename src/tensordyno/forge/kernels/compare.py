"""How two results differ: what tests of kernels and passes ask."""

import numpy as np
from numpy.typing import ArrayLike


def mismatches(found: ArrayLike, expected: ArrayLike, tolerance: ArrayLike = 0.0) -> tuple[int, float]:
    """How many numbers differ by more than `tolerance` (one, or one each), and the largest difference of all.

    NaN differs infinitely from everything, from NaN too. Raises ValueError for two shapes.
    """
    left, right = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if left.shape != right.shape:
        raise ValueError(f"The results have two shapes, {left.shape} and {right.shape}.")
    with np.errstate(invalid="ignore"):
        apart = np.where(left == right, 0.0, np.abs(left - right))
    apart = np.where(np.isnan(apart), np.inf, apart)
    return int(np.count_nonzero(apart > tolerance)), float(apart.max(initial=0.0))
