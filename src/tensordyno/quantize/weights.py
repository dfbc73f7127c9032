"""Rounds the weights and biases of a layer: per output channel, symmetric, INT8 and INT32."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.base import LEVELS

Floats = NDArray[np.float32]

_MOST_BIAS = 2**23  # steps; float32 counts them exactly, and no sum of products comes near the end of int32
_TINY = 4 * float(np.finfo(np.float32).tiny)


class Weights(NamedTuple):
    """One layer on the INT8 grid. `values` int8 like the weights, `scale` float32 (channels,).

    `bias` int32 (channels,) counts steps of `bias_scale` = input step x scale, float32 (channels,).
    """

    values: NDArray[np.int8]
    scale: Floats
    bias: NDArray[np.int32] | None
    bias_scale: Floats


def round_weights(weights: Floats, bias: Floats | None, axis: int, step: np.float32) -> Weights:
    """Weights with output channels along `axis` and bias (channels,), where the input comes in such steps.

    The scale of a channel is its largest absolute weight / 127. It is larger only where the bias would
    be more than 2^23 steps: there, and in a channel of zeros, the weights are nothing beside the bias.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scale = np.abs(weights).max(axis=others).astype(np.float32) / np.float32(LEVELS)
    least = np.full_like(scale, max(_TINY, _TINY / float(step)))
    if bias is not None:
        least = np.maximum(least, np.abs(bias) / (np.float64(step) * _MOST_BIAS)).astype(np.float32)
    scale = np.where(scale >= least, scale, np.nextafter(least, np.float32(np.inf)))
    along = [1] * weights.ndim
    along[axis] = -1
    rounded = weights / scale.reshape(along)  # may be hundreds of megabytes: no more copies than this
    np.clip(np.rint(rounded, out=rounded), -LEVELS, LEVELS, out=rounded)
    bias_scale = (step * scale).astype(np.float32)
    steps = None if bias is None else np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32)
    return Weights(rounded.astype(np.int8), scale, steps, bias_scale)
