"""Conversions between int8 and float32 inside kernels, by the instructions that are fast on the device.

An epilogue of an int8 convolution converts every output once and every residual once. The plain
conversions run on the unit with 16 lanes a clock and multiprocessor and bind the whole layer (section 1 of
results/h200/forge/NOTES.md); these here use packed and logical instructions, four values a register.
`ASSEMBLY` false takes plain operations with the same results: Triton's interpreter has no assembly.
"""

import triton
import triton.language as tl


@triton.jit
def to_float(quantized, ASSEMBLY: tl.constexpr):
    """int8 as float32, exactly: the byte becomes the mantissa of a number near 2**23, which is subtracted."""
    if ASSEMBLY:
        return tl.inline_asm_elementwise(
            asm="""
            {
            .reg .b32 bytes, magic;
            mov.b32 magic, 0x4B000000;
            xor.b32 bytes, $4, 0x80808080;
            prmt.b32 $0, bytes, magic, 0x7440;
            prmt.b32 $1, bytes, magic, 0x7441;
            prmt.b32 $2, bytes, magic, 0x7442;
            prmt.b32 $3, bytes, magic, 0x7443;
            sub.f32 $0, $0, 0f4B000080;
            sub.f32 $1, $1, 0f4B000080;
            sub.f32 $2, $2, 0f4B000080;
            sub.f32 $3, $3, 0f4B000080;
            }
            """,
            constraints="=f,=f,=f,=f,r",
            args=[quantized],
            dtype=tl.float32,
            is_pure=True,
            pack=4,
        )
    return quantized.to(tl.float32)


@triton.jit
def to_int8(value, ASSEMBLY: tl.constexpr):
    """float32 as int8: rounded half to even, saturated to -128..127. NaN becomes 0.

    ptxas makes one instruction of two conversions, their packing and a ReLU in front of them.
    """
    if ASSEMBLY:
        return tl.inline_asm_elementwise(
            asm="""
            {
            .reg .s32 a, b, c, d, upper;
            cvt.rni.s32.f32 a, $1;
            cvt.rni.s32.f32 b, $2;
            cvt.rni.s32.f32 c, $3;
            cvt.rni.s32.f32 d, $4;
            cvt.pack.sat.s8.s32.b32 upper, d, c, 0;
            cvt.pack.sat.s8.s32.b32 $0, b, a, upper;
            }
            """,
            constraints="=r,f,f,f,f",
            args=[value],
            dtype=tl.int8,
            is_pure=True,
            pack=4,
        )
    bounded = tl.minimum(tl.maximum(value, -128.0), 127.0)
    # adding and subtracting 1.5 * 2**23 rounds half to even, as the hardware's conversion does
    return ((bounded + 12582912.0) - 12582912.0).to(tl.int8)
