"""Every storage format to float32 and back, for kernels that compute on real numbers.

An integer stands for `scale * integer`. `ASSEMBLY` false is for Triton's interpreter: it has no assembly, and
it cuts bfloat16 where devices round it.
"""

import numpy as np
import triton
import triton.language as tl

from tensordyno.forge.kernels.int8_numbers import to_float, to_int8
from tensordyno.forge.program import View


def scale_of(view: View) -> float:
    """What a stored number is multiplied by: the scale of integers as float32 keeps it, else 1."""
    return 1.0 if view.scale is None else float(np.float32(view.scale))


def reciprocal_of(view: View) -> float:
    """What a real number is multiplied by before it is stored: 1 / scale, rounded to float32 once, else 1."""
    return 1.0 if view.scale is None else float(np.float32(1) / np.float32(view.scale))


def holds_alike(image: View, output: View) -> bool:
    """Whether stored numbers go from one to the other as they are."""
    return (image.format, image.scale) == (output.format, output.scale)


@triton.jit
def as_float(stored, ASSEMBLY: tl.constexpr):
    """int8, uint8, fp16, bf16 or fp32 numbers of any shape as float32, exactly."""
    if stored.dtype == tl.int8:
        return to_float(stored, ASSEMBLY)
    if stored.dtype == tl.uint8:
        return uint8_to_float(stored, ASSEMBLY)
    if stored.dtype == tl.bfloat16 and not ASSEMBLY:
        return (stored.to(tl.uint16, bitcast=True).to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    return stored.to(tl.float32)


@triton.jit
def as_real(stored, scale, ASSEMBLY: tl.constexpr):
    """Stored numbers as real ones: float32(integer) * scale, rounded once; what is no integer as it is."""
    if stored.dtype.is_int():
        return as_float(stored, ASSEMBLY) * scale
    return as_float(stored, ASSEMBLY)


@triton.jit
def as_stored(real, reciprocal, FORMAT: tl.constexpr, ASSEMBLY: tl.constexpr):
    """float32 as elements of FORMAT: `real * reciprocal` to integers of that scale, others rounded once.

    Both round half to even. Integers saturate, NaN becomes 0 (undefined in the interpreter).
    """
    if tl.int8 == FORMAT:
        return to_int8(real * reciprocal, ASSEMBLY)
    if tl.uint8 == FORMAT:
        return to_uint8(real * reciprocal, ASSEMBLY)
    if tl.bfloat16 == FORMAT and not ASSEMBLY:
        bits = real.to(tl.uint32, bitcast=True)
        bits += 0x7FFF + ((bits >> 16) & 1)  # half of the last bit kept, less one if that is even
        return (bits >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    return real.to(FORMAT)


@triton.jit
def uint8_to_float(quantized, ASSEMBLY: tl.constexpr):
    """uint8 as float32, exactly: the byte becomes the mantissa of a number near 2**23, less 2**23."""
    if ASSEMBLY:
        return tl.inline_asm_elementwise(
            asm="""
            {
            .reg .b32 magic;
            mov.b32 magic, 0x4B000000;
            prmt.b32 $0, $4, magic, 0x7440;
            prmt.b32 $1, $4, magic, 0x7441;
            prmt.b32 $2, $4, magic, 0x7442;
            prmt.b32 $3, $4, magic, 0x7443;
            sub.f32 $0, $0, 0f4B000000;
            sub.f32 $1, $1, 0f4B000000;
            sub.f32 $2, $2, 0f4B000000;
            sub.f32 $3, $3, 0f4B000000;
            }
            """,
            constraints="=&f,=&f,=&f,=&f,r",
            args=[quantized],
            dtype=tl.float32,
            is_pure=True,
            pack=4,
        )
    return quantized.to(tl.float32)


@triton.jit
def to_uint8(value, ASSEMBLY: tl.constexpr):
    """float32 as uint8: rounded half to even, saturated to 0..255. NaN becomes 0."""
    if ASSEMBLY:
        return tl.inline_asm_elementwise(
            asm="""
            {
            .reg .s32 a, b, c, d, upper;
            cvt.rni.s32.f32 a, $1;
            cvt.rni.s32.f32 b, $2;
            cvt.rni.s32.f32 c, $3;
            cvt.rni.s32.f32 d, $4;
            cvt.pack.sat.u8.s32.b32 upper, d, c, 0;
            cvt.pack.sat.u8.s32.b32 $0, b, a, upper;
            }
            """,
            constraints="=r,f,f,f,f",
            args=[value],
            dtype=tl.uint8,
            is_pure=True,
            pack=4,
        )
    bounded = tl.minimum(tl.maximum(value, 0.0), 255.0)
    # adding and subtracting 1.5 * 2**23 rounds half to even, as the hardware's conversion does
    return ((bounded + 12582912.0) - 12582912.0).to(tl.uint8)
