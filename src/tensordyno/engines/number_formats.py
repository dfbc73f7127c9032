"""Rounds float32 values to the numbers that a smaller format can hold."""

import numpy as np
from numpy.typing import NDArray

from tensordyno.vocabulary import Precision

FloatArray = NDArray[np.float32]

_FRACTION_BITS = {Precision.TF32: 10, Precision.BF16: 7, Precision.FP8: 3}  # fp8: E4M3
_LARGEST_INT8 = 127


def rounded(values: FloatArray, precision: Precision) -> FloatArray:
    """`values` (any shape) rounded to nearest even in `precision`, as float32.

    int8 scales symmetrically by the largest magnitude of the whole array. fp8 keeps E4M3's fraction
    bits and, as every user of it scales, has no limits of range here.
    """
    if precision is Precision.FP32:
        return values.copy()
    if precision is Precision.FP16:
        return values.astype(np.float16).astype(np.float32)
    if precision is Precision.INT8:
        return _int8(values)
    fraction, exponent = np.frexp(values)
    steps = np.float32(2.0 ** (_FRACTION_BITS[precision] + 1))  # frexp's fraction lies in [0.5, 1)
    nearest: FloatArray = np.ldexp(np.rint(fraction * steps) / steps, exponent)
    return nearest


def _int8(values: FloatArray) -> FloatArray:
    scale = np.float32(np.max(np.abs(values), initial=0.0) / _LARGEST_INT8)
    if scale == 0:
        return values.copy()
    nearest: FloatArray = np.rint(values / scale) * scale
    return nearest
