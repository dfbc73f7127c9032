"""A convolution as a matrix product whose left operand is gathered from the image as it goes.

Images lie as (batch, height, width, channels). A row of the product is an output pixel, a column an output
channel, and the sum runs over the taps of the window and the channels of each: in slices of BLOCK_K channels
of one tap, or, where taps have few channels (FLAT), in slices of all channels of all taps in a row.
"""

import triton
import triton.language as tl

from tensordyno.forge.kernels.convolution_epilogue import finish, residual_tile
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.operands import operand


@triton.jit(do_not_specialize=["pixels"])
def convolution(
    image,
    weight,
    factor,
    bias,
    offset,
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
    FLAT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """One tile of BLOCK_M pixels by BLOCK_N channels of one group; the grid is (tiles, groups).

    image (batch, height, width, channels) of any format; weight as convolution_shape.py lays it, whose format
    is that of the arithmetic; image_scale is for integers in real arithmetic; the rest is `finish`'s.
    """
    wait_for_previous()
    COLUMNS: tl.constexpr = (SHAPE.out_channels + BLOCK_N - 1) // BLOCK_N
    tile = tl.program_id(0)
    row = (tile // COLUMNS) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = (tile % COLUMNS) * BLOCK_N + tl.arange(0, BLOCK_N)
    first = 0
    if SHAPE.groups > 1:
        group = tl.program_id(1)
        first = group * SHAPE.out_channels
        image += group * SHAPE.channels
        weight += group * (SHAPE.out_channels * SHAPE.row_pitch)
    place = row, column, first, pixels
    if residual is not None and residual.dtype.element_ty.is_int():  # few registers: asked for in time
        residual = residual_tile(residual, place, SHAPE, BLOCK_N)
    operands = image, image_scale, weight
    total = products(operands, place, SHAPE, IS_TF32, ASSEMBLY, FLAT, BLOCK_M, BLOCK_N, BLOCK_K)
    constants = factor, bias, offset
    other = residual, residual_factor
    finish(total, place, constants, other, (low, high), output, SHAPE, CLAMPS, ASSEMBLY, BLOCK_N)


@triton.jit
def products(
    operands,
    place,
    SHAPE: tl.constexpr,
    IS_TF32: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Sums (rows, columns) of one group: int32 of int8 weights, else float32."""
    image, image_scale, weight = operands
    row, column, _, pixels = place
    KIND: tl.constexpr = weight.dtype.element_ty
    SUM: tl.constexpr = tl.int32 if tl.int8 == KIND else tl.float32
    PRECISION: tl.constexpr = "tf32" if IS_TF32 else "ieee"
    LENGTH: tl.constexpr = SHAPE.taps * SHAPE.tap_pitch
    SLICES: tl.constexpr = (SHAPE.tap_pitch + BLOCK_K - 1) // BLOCK_K
    STEPS: tl.constexpr = (LENGTH + BLOCK_K - 1) // BLOCK_K if FLAT else SHAPE.taps * SLICES
    TAIL: tl.constexpr = (LENGTH if FLAT else SHAPE.tap_pitch) % BLOCK_K
    window = windows(row, pixels, SHAPE)
    kernel = weight + column[None, :] * SHAPE.row_pitch
    lane = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=SUM)
    for step in range(STEPS):
        if FLAT:
            k = step * BLOCK_K + lane
            tap = k // SHAPE.tap_pitch
            channel = k % SHAPE.tap_pitch
            is_weight = k < LENGTH
        else:
            tap = step // SLICES
            channel = (step % SLICES) * BLOCK_K + lane
            k = tap * SHAPE.tap_pitch + channel
            is_weight = channel < SHAPE.tap_pitch
        a = operand(
            seen(image, window, tap, channel, SHAPE, FLAT, BLOCK_K), image_scale, KIND, IS_TF32, ASSEMBLY
        )
        b = weights_of(kernel, k, is_weight, column, SHAPE, TAIL != 0, SHAPE.out_channels % BLOCK_N != 0)
        if tl.bfloat16 == KIND and not ASSEMBLY:  # the interpreter cannot multiply these
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total, input_precision=PRECISION, out_dtype=SUM)
    return total


@triton.jit
def windows(row, pixels, SHAPE: tl.constexpr):
    """Of output pixels `row`: which exist, and the number in the batch, row and column of their first tap."""
    is_pixel = row < pixels
    if SHAPE.is_pointwise:
        return is_pixel, row, row, row
    rows = row // SHAPE.out_width
    top = rows % SHAPE.out_height * SHAPE.stride_height - SHAPE.top
    left = row % SHAPE.out_width * SHAPE.stride_width - SHAPE.left
    image = rows // SHAPE.out_height
    return is_pixel, (image * SHAPE.height + top) * SHAPE.width + left, top, left


@triton.jit
def seen(image, window, tap, channel, SHAPE: tl.constexpr, FLAT: tl.constexpr, BLOCK_K: tl.constexpr):
    """What each window sees of `channel` (BLOCK_K,) at one tap, or of as many taps: (BLOCK_M, BLOCK_K).

    Zero outside the image and behind the last tap and channel.
    """
    is_pixel, first, top, left = window
    inside = is_pixel[:, None]
    if FLAT:
        if SHAPE.taps * SHAPE.tap_pitch % BLOCK_K != 0:
            inside = inside & (tap < SHAPE.taps)[None, :]
        tap = tap[None, :]
    down = tap // SHAPE.kernel_width * SHAPE.dilation_height
    right = tap % SHAPE.kernel_width * SHAPE.dilation_width
    if SHAPE.has_border:  # as unsigned numbers what is negative is too large
        inside = inside & ((top[:, None] + down).to(tl.uint32) < SHAPE.height)
        inside = inside & ((left[:, None] + right).to(tl.uint32) < SHAPE.width)
    if SHAPE.readable < SHAPE.tap_pitch or (SHAPE.readable % BLOCK_K != 0 and not FLAT):
        inside = inside & (channel < SHAPE.readable)[None, :]
    place = (first[:, None] + down * SHAPE.width + right) * SHAPE.pitch + channel[None, :]
    return tl.load(image + place, mask=inside, other=0)


@triton.jit
def weights_of(
    kernel, k, is_weight, column, SHAPE: tl.constexpr, HAS_TAIL: tl.constexpr, HAS_EDGE: tl.constexpr
):
    """Weights (BLOCK_K, BLOCK_N) number `k` of the rows `kernel`; zero where there are none."""
    if HAS_TAIL and HAS_EDGE:
        inside = is_weight[:, None] & (column < SHAPE.out_channels)[None, :]
        return tl.load(kernel + k[:, None], mask=inside, other=0)
    elif HAS_TAIL:
        return tl.load(kernel + k[:, None], mask=is_weight[:, None], other=0)
    elif HAS_EDGE:
        return tl.load(kernel + k[:, None], mask=(column < SHAPE.out_channels)[None, :], other=0)
    else:
        return tl.load(kernel + k[:, None])
