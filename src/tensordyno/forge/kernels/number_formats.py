"""float32 rounded to narrower formats, to nearest even, and the fused multiply-add of devices.

The oracle of a kernel of fp16, bf16 or tf32 takes inputs and weights rounded to the format, sums them in
float64, adds and clamps in float32 and rounds the result (evaluate.py). A kernel that sums K products in
float32 is held to
    |kernel - oracle| <= spacing(oracle) + (K + 2) * 2**-24 * sum of |input * weight|
the second term for its sums (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), the first because
two numbers that are nearly the same may round to neighbours; it is 0 for tf32, whose results are float32.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensordyno.vocabulary import Precision

SIGNIFICANT_BITS: Mapping[Precision, int] = MappingProxyType(
    {Precision.FP32: 24, Precision.TF32: 11, Precision.FP16: 11, Precision.BF16: 8}
)
_SMALLEST_EXPONENT = {Precision.FP16: -14}  # of normal numbers; the others share float32's
_FLOAT32_EXPONENT = -126


def rounded(numbers: ArrayLike, precision: Precision) -> NDArray[np.float32]:
    """Numbers of that format nearest to float32 `numbers`, as float32; halves go to the even one.

    What is too large becomes infinite, what is small loses bits as the format's subnormals do; NaN stays.
    Tensor cores cut the bits of a tf32 operand that it has too many, instead of rounding them: a kernel is
    held against this only if it rounds its operands before. Raises KeyError for a precision of integers.
    """
    exact = np.asarray(numbers, np.float32)
    if SIGNIFICANT_BITS[precision] == SIGNIFICANT_BITS[Precision.FP32]:
        return exact
    if precision is Precision.FP16:
        with np.errstate(over="ignore"):
            return exact.astype(np.float16).astype(np.float32)
    return _shortened(exact, SIGNIFICANT_BITS[Precision.FP32] - SIGNIFICANT_BITS[precision])


def _shortened(exact: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Without the last `bits` bits: half of the last bit kept, less one if that is even, carries upwards."""
    words = exact.view(np.uint32)
    last = (words >> np.uint32(bits)) & np.uint32(1)
    carried = words + last + np.uint32(2 ** (bits - 1) - 1)
    short = (carried & np.uint32(2**32 - 2**bits)).view(np.float32)
    return np.where(np.isnan(exact), exact, short)


def spacing(numbers: ArrayLike, precision: Precision) -> NDArray[np.float64]:
    """The distance to the next larger number of that format, of the format's finite `numbers`."""
    lowest = _SMALLEST_EXPONENT.get(precision, _FLOAT32_EXPONENT)
    exact = np.asarray(numbers, np.float64)
    _, exponents = np.frexp(np.where(exact == 0, 2.0**lowest, exact))  # 0.5 <= mantissa < 1
    powers = np.maximum(exponents.astype(np.int64) - 1, lowest)
    return np.asarray(np.ldexp(1.0, powers - (SIGNIFICANT_BITS[precision] - 1)), np.float64)


def fused_multiply_add(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[np.float32]:
    """The float32 nearest to a * b + c, as devices make it when `*` and `+` are contracted.

    The product is exact in float64. The sum is rounded to odd there, which makes the rounding to float32
    behind it the only one that counts (Boldo and Melquiond, Emulation of FMA and correctly rounded sums,
    IEEE Transactions on Computers 57, 2008). For results of float32's normal range.
    """
    product = np.multiply(a, b, dtype=np.float64)
    addend = np.asarray(c, np.float64)
    total = np.asarray(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)  # exact (Knuth's TwoSum)
    words = total.view(np.int64)
    even = (words & 1 == 0) & (error != 0)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(even, words + towards, words).view(np.float64).astype(np.float32)
