"""What a sum is multiplied by to become a mean, as graph.py says it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensordyno.forge.kernels.conversions import reciprocal_of, scale_of
from tensordyno.forge.program import View


def mean_factors(counts: ArrayLike, image: View, output: View) -> NDArray[np.float32]:
    """The factors of sums over `counts` numbers each, computed in float64 and rounded once.

    Sums of integers take scale / count / output scale and are steps of the output at once; sums of real
    numbers take 1 / count, and `mean_reciprocal` afterwards.
    """
    step = scale_of(output) if image.scale is not None else 1.0
    return (scale_of(image) / (np.asarray(counts, np.float64) * step)).astype(np.float32)


def mean_reciprocal(image: View, output: View) -> float:
    """What the mean is still to be multiplied by to be in steps of the output."""
    return reciprocal_of(output) if image.scale is None else 1.0
