"""Running maxima of int8 or uint8, four numbers in three instructions (Hopper and later).

A register holds four bytes. Read as two 16-bit numbers, its upper bytes decide which pair is larger, whatever
the lower ones are: so one packed 16-bit maximum serves bytes 1 and 3, another of the register shifted by a
byte serves 0 and 2. The running maxima are two registers, kept as int16 numbers that mean nothing by
themselves; `unpacked` picks the upper bytes.
"""

import triton
import triton.language as tl

from tensordyno.forge.kernels.base import Target
from tensordyno.forge.program import CHANNEL_GRAIN, View


def can_pack(image: View, output: View, target: Target) -> bool:
    """Whether maxima of pixels of `image` may be taken so.

    Threads must hold whole groups of four channels all the way to the output, else a group would be taken
    apart between two steps: everything is aligned.
    """
    numbers = (image.channels, image.pitch, image.first, output.pitch, output.first)
    is_aligned = all(number % CHANNEL_GRAIN == 0 for number in numbers)
    is_able = target.has_assembly and target.capability >= (9, 0)
    return is_able and is_aligned and image.format.width_bytes == 1


@triton.jit
def packed_start(PIXELS: tl.constexpr, CHANNELS: tl.constexpr, LOWEST: tl.constexpr):
    """Running maxima (PIXELS, CHANNELS), int16, of no numbers; LOWEST is -128 of int8, 0 of uint8."""
    return tl.full((PIXELS, CHANNELS), LOWEST * 256, tl.int16)


@triton.jit
def packed_maximum(best, seen):
    """Running maxima that take in `seen`, int8 or uint8 of the same shape."""
    if seen.dtype == tl.int8:
        return tl.inline_asm_elementwise(
            asm="""
            {
            .reg .b32 shifted;
            shl.b32 shifted, $4, 8;
            max.s16x2 $0, $2, $4;
            max.s16x2 $1, $3, shifted;
            }
            """,
            constraints="=&r,=&r,r,r,r",
            args=[best, seen],
            dtype=tl.int16,
            is_pure=True,
            pack=4,
        )
    return tl.inline_asm_elementwise(
        asm="""
        {
        .reg .b32 shifted;
        shl.b32 shifted, $4, 8;
        max.u16x2 $0, $2, $4;
        max.u16x2 $1, $3, shifted;
        }
        """,
        constraints="=&r,=&r,r,r,r",
        args=[best, seen],
        dtype=tl.int16,
        is_pure=True,
        pack=4,
    )


@triton.jit
def unpacked(best):
    """The maxima as int8; of uint8, the bits of them."""
    return tl.inline_asm_elementwise(
        asm="prmt.b32 $0, $1, $2, 0x3715;",
        constraints="=r,r,r",
        args=[best],
        dtype=tl.int8,
        is_pure=True,
        pack=4,
    )
