"""Arithmetic of clamps: one after another, on the steps of an int8 tensor, and whether one does anything."""

import math

import numpy as np

from tensordyno.forge.graph import Clamp, Tensor
from tensordyno.forge.kernels.reference_values import limits, store

EVERYTHING = Clamp(-math.inf, math.inf)

_TOLERANCE = 1e-5  # of a step: a bound and a scale are each rounded to float32


def then(first: Clamp | None, second: Clamp) -> Clamp:
    """The one clamp that does what `first` and after it `second` do."""
    if first is None:
        return second
    low, high = (min(max(bound, second.low), second.high) for bound in (first.low, first.high))
    return Clamp(low, high)


def is_open(clamp: Clamp) -> bool:
    """Whether a clamp lets every number through."""
    return clamp == EVERYTHING


def is_on_steps(clamp: Clamp, tensor: Tensor) -> bool:
    """Whether a clamp makes integers of a tensor into integers of the same steps.

    A bound does so when it is a whole number of steps, or when it is beyond the range of the integers.
    """
    assert tensor.scale is not None
    lowest, highest = limits(tensor)
    low, high = clamp.low / tensor.scale, clamp.high / tensor.scale
    beyond = low <= lowest, high >= highest
    within = (lowest <= bound <= highest and _is_whole(bound) for bound in (low, high))
    return all(a or b for a, b in zip(beyond, within, strict=True))


def on_steps(clamp: Clamp, tensor: Tensor) -> Clamp:
    """The clamp before rounding that equals this one after it, whose result is rounded alike.

    With q = round(v / s), rounding again after the clamp gives clip(q, round(low / s), round(high / s)).
    Rounding is monotone and leaves whole steps alone, so this is
    round(clip(v, s * round(low / s), s * round(high / s)) / s).
    """
    return Clamp(*(_nearest_step(bound, tensor) for bound in (clamp.low, clamp.high)))


def _nearest_step(bound: float, tensor: Tensor) -> float:
    if math.isinf(bound):
        return bound
    assert tensor.scale is not None
    (nearest,) = store(np.array([bound], np.float32), tensor).numbers  # a half goes where kernels round it
    return int(nearest) * tensor.scale


def _is_whole(steps: float) -> bool:
    return abs(steps - round(steps)) <= _TOLERANCE
