"""What symmetric INT8 makes of a number: the reference, in NumPy, of every engine's rounding."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensordyno.quantize.base import LEVELS


def step(threshold: float) -> np.float32:
    """The distance between neighbouring INT8 values, threshold / 127, rounded to float32 as files hold it."""
    return np.float32(threshold / LEVELS)


def quantize(values: ArrayLike, threshold: float) -> NDArray[np.int8]:
    """The nearest of -128..127 steps, half to even: QuantizeLinear of ONNX with zero point 0, in float32."""
    steps = np.rint(np.asarray(values, np.float32) / step(threshold))
    return np.asarray(steps.clip(-LEVELS - 1, LEVELS), np.int8)


def quantize_dequantize(values: ArrayLike, threshold: float) -> NDArray[np.float32]:
    """The values after a way through INT8: float32, the same shape.

    Off by at most half a step, threshold / 254, for values in -threshold..threshold. Beyond that they
    become threshold, or one step below -threshold: two's complement has one more negative number, and
    every engine uses it.
    """
    return quantize(values, threshold) * step(threshold)
