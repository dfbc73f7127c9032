"""What a product multiplies: stored numbers made ready for the arithmetic that the operation asks for."""

import triton
import triton.language as tl

from tensordyno.forge.kernels.conversions import as_real, as_stored


@triton.jit
def operand(stored, scale, KIND: tl.constexpr, IS_TF32: tl.constexpr, ASSEMBLY: tl.constexpr):
    """Numbers of any storage format in the format KIND that they are multiplied in.

    For int8 arithmetic 128 is taken from uint8. For real arithmetic integers stand for `scale * integer`;
    numbers of another format are rounded to KIND, half to even, and to the bits of tf32 if it is that.
    """
    if tl.int8 == KIND:
        if stored.dtype == tl.uint8:
            stored = (stored ^ 128).to(tl.int8, bitcast=True)
    elif stored.dtype != KIND:
        stored = as_stored(as_real(stored, scale, ASSEMBLY), 1.0, KIND, ASSEMBLY)
    if IS_TF32:
        stored = nearest_tf32(stored)
    return stored


@triton.jit
def nearest_tf32(real):
    """float32 with the 11 significant bits of tf32, rounded half to even: tensor cores cut the others off."""
    bits = real.to(tl.uint32, bitcast=True)
    carried = bits + ((bits >> 13) & 1) + 0x0FFF
    return (carried & 0xFFFFE000).to(tl.float32, bitcast=True)
