"""A convolution of each channel by itself, without a matrix unit.

Images lie as (batch, height, width, channels): a program takes a block of output pixels and channels, and a
thread 16 bytes of channels, tap after tap. int8 goes by four taps at a time: their bytes are turned round in
registers until a word holds the four taps of a channel, which one instruction multiplies and sums.
"""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge.graph import Array, Convolution
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import block_grid
from tensordyno.forge.kernels.conversions import as_float
from tensordyno.forge.kernels.convolution import arguments, clamp_kind, computes, typed
from tensordyno.forge.kernels.convolution_epilogue import finish
from tensordyno.forge.kernels.convolution_shape import channel_shape_of
from tensordyno.forge.kernels.convolution_weights import channel_arrays
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.implicit_product import seen, windows
from tensordyno.forge.kernels.operands import operand
from tensordyno.forge.program import Operation
from tensordyno.vocabulary import Precision

_MOST_TAPS = 64  # they are unrolled
_WIDTHS = (16, 32, 64, 128, 256)  # channels of a block
_MOST_WIDTHS = 4
_ELEMENTS = ((4096, 4), (2048, 4))  # of a block, and its warps
_FEW_ELEMENTS = ((2048, 4), (512, 1))
_MULTIPROCESSORS = 132

# Registers 4 to 7 hold four channels of a tap each, 8 to 11 the words of these channels, 12 to 15 their sums.
_SUM_OF_FOUR = """
{
.reg .b32 ab, cd, upper_ab, upper_cd;
.reg .b32 w, x, y, z;
prmt.b32 ab, $4, $5, 0x5140;
prmt.b32 cd, $6, $7, 0x5140;
prmt.b32 upper_ab, $4, $5, 0x7362;
prmt.b32 upper_cd, $6, $7, 0x7362;
prmt.b32 w, ab, cd, 0x5410;
prmt.b32 x, ab, cd, 0x7632;
prmt.b32 y, upper_ab, upper_cd, 0x5410;
prmt.b32 z, upper_ab, upper_cd, 0x7632;
dp4a.KIND.s32 w, w, $8, $12;
dp4a.KIND.s32 x, x, $9, $13;
dp4a.KIND.s32 y, y, $10, $14;
dp4a.KIND.s32 z, z, $11, $15;
mov.b32 $0, w;
mov.b32 $1, x;
mov.b32 $2, y;
mov.b32 $3, z;
}
"""
SUM_OF_INT8 = tl.constexpr(_SUM_OF_FOUR.replace("KIND", "s32"))
SUM_OF_UINT8 = tl.constexpr(_SUM_OF_FOUR.replace("KIND", "u32"))


@triton.jit(do_not_specialize=["pixels"])
def depthwise(
    image,
    weight,
    factor,
    bias,
    offset,  # None: sums need no correction here
    residual,
    output,
    pixels,  # of all images of the output
    image_scale,
    residual_factor,
    low,
    high,
    SHAPE: tl.constexpr,
    IS_TF32: tl.constexpr,
    CLAMPS: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """One block of BLOCK_M pixels by BLOCK_N channels.

    image (batch, height, width, channels) of any format; weight (taps, channels) in the format of the
    arithmetic, or (quads of taps, channels) int32 of int8; the rest is `finish`'s.
    """
    wait_for_previous()
    COLUMNS: tl.constexpr = (SHAPE.out_channels + BLOCK_N - 1) // BLOCK_N
    block = tl.program_id(0)
    row = (block // COLUMNS) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = (block % COLUMNS) * BLOCK_N + tl.arange(0, BLOCK_N)
    window = windows(row, pixels, SHAPE)
    is_channel = column < SHAPE.out_channels
    TAPS: tl.constexpr = SHAPE.taps
    if weight.dtype.element_ty == tl.int32:
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32)
        for quad in tl.static_range((TAPS + 3) // 4):
            a = tap_of(image, window, 4 * quad, column, SHAPE, BLOCK_M, BLOCK_N)
            b = tap_of(image, window, 4 * quad + 1, column, SHAPE, BLOCK_M, BLOCK_N)
            c = tap_of(image, window, 4 * quad + 2, column, SHAPE, BLOCK_M, BLOCK_N)
            d = tap_of(image, window, 4 * quad + 3, column, SHAPE, BLOCK_M, BLOCK_N)
            words = tl.load(weight + quad * SHAPE.out_channels + column, mask=is_channel, other=0)[None, :]
            total = sum_of_four(a, b, c, d, words, total, ASSEMBLY)
    else:
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for tap in tl.static_range(TAPS):
            stored = tap_of(image, window, tap, column, SHAPE, BLOCK_M, BLOCK_N)
            a = as_float(operand(stored, image_scale, weight.dtype.element_ty, IS_TF32, ASSEMBLY), ASSEMBLY)
            b = tl.load(weight + tap * SHAPE.out_channels + column, mask=is_channel, other=0)
            total = tl.fma(a, as_float(b, ASSEMBLY)[None, :], total)
    place = row, column, 0, pixels
    constants = factor, bias, offset
    other = residual, residual_factor
    finish(total, place, constants, other, (low, high), output, SHAPE, CLAMPS, ASSEMBLY, BLOCK_N)


@triton.jit
def tap_of(
    image,
    window,
    tap: tl.constexpr,
    column,
    SHAPE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """What the windows see at a tap, (BLOCK_M, BLOCK_N) as stored; zeros behind the last tap."""
    if tap < SHAPE.taps:
        return seen(image, window, tap, column, SHAPE, False, BLOCK_N)
    else:
        return tl.zeros((BLOCK_M, BLOCK_N), dtype=image.dtype.element_ty)


@triton.jit
def sum_of_four(a, b, c, d, words, total, ASSEMBLY: tl.constexpr):
    """The int32 total + a * w0 + b * w1 + c * w2 + d * w3 of int8 or uint8; w0 to w3 are bytes of `words`."""
    if ASSEMBLY:
        return tl.inline_asm_elementwise(
            asm=SUM_OF_UINT8 if a.dtype == tl.uint8 else SUM_OF_INT8,
            constraints="=r,=r,=r,=r,r,r,r,r,r,r,r,r,r,r,r,r",
            args=[a, b, c, d, words, total],
            dtype=tl.int32,
            is_pure=True,
            pack=4,
        )
    total += a.to(tl.int32) * (words << 24 >> 24)
    total += b.to(tl.int32) * (words << 16 >> 24)
    total += c.to(tl.int32) * (words << 8 >> 24)
    return total + d.to(tl.int32) * (words >> 24)


def block_choices(channels: int, pixels: int) -> tuple[Choice, ...]:
    """Blocks of one or two vectors of int8 a thread, those first that leave the fewest lanes idle.

    Sixteen channels are half of the least that memory brings of a pixel: wider blocks are preferred.
    """
    widths = [width for width in _WIDTHS if width < 2 * channels or width == _WIDTHS[0]]
    widths.sort(key=lambda width: (triton.cdiv(channels, width) + (width == _WIDTHS[0])) * width)
    is_small = channels * pixels < _MULTIPROCESSORS * _ELEMENTS[0][0]
    return tuple(
        (max(elements // width, 1), width, warps)
        for width in widths[:_MOST_WIDTHS]
        for elements, warps in (_FEW_ELEMENTS if is_small else _ELEMENTS)
    )


class Depthwise(Kernel):
    """Convolutions of each channel by itself, one output each. A choice is (pixels, channels, warps)."""

    name = "depthwise"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Windows of at most 64 taps, any formats."""
        node = operation.node
        if not (isinstance(node, Convolution) and computes(operation)):
            return False
        out, inputs, height, width = node.weight.shape
        is_depthwise: bool = node.groups == out and inputs == 1
        return is_depthwise and bool(height * width <= _MOST_TAPS)

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Blocks of the output; small ones under the interpreter."""
        if target.interpreted:
            return ((64, 32, 4),)
        return block_choices(operation.output.channels, batch_size * operation.output.pixels)

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight`, `bias` and where needed `factor` (convolution_weights.py)."""
        return channel_arrays(operation)

    def launch(
        self,
        operation: Operation,
        choice: Choice,
        batch_size: int,
        tensors: Tensors,
        weights: Mapping[str, Any],
        target: Target,
        scratch: Any = None,
    ) -> Launch:
        """One program for each block."""
        pixels = batch_size * operation.output.pixels
        return Launch(
            function=depthwise,
            grid=block_grid(operation.output, batch_size, choice),
            arguments=arguments(operation, pixels, tensors, typed(weights, operation.precision)),
            constants={
                "SHAPE": channel_shape_of(operation),
                "IS_TF32": operation.precision is Precision.TF32,
                "CLAMPS": clamp_kind(operation),
                "ASSEMBLY": target.has_assembly,
                "BLOCK_M": choice[0],
                "BLOCK_N": choice[1],
            },
            num_warps=choice[2],
        )


KERNELS: tuple[Kernel, ...] = (Depthwise(),)
