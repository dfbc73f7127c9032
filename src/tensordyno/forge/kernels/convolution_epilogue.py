"""What follows the sums of a convolution in its kernel: bias, residual, activation, rounding, the store."""

import triton
import triton.language as tl

from tensordyno.forge.kernels.conversions import as_float, as_stored


@triton.jit
def finish(
    total,
    place,
    constants,
    other,
    bounds,
    output,
    SHAPE: tl.constexpr,
    CLAMPS: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Write output = stored(clamp(total * factor + bias + residual * residual_factor)) of a tile.

    total (BLOCK_M, BLOCK_N) int32 or float32; place: output pixels (BLOCK_M,), channels of a group
    (BLOCK_N,), the first channel of the group, how many pixels there are; constants: factor and bias
    (out channels,) float32 and offset (out channels,) int32, which is added to total; other: residual, or its
    tile, and residual_factor; bounds: low and high. residual and output (pixels, out channels) are of any
    format. factor, offset and residual may be None. CLAMPS 0: none, 1: ReLU, 2: low and high.
    """
    row, column, first, pixels = place
    factor, bias, offset = constants
    residual, residual_factor = other
    low, high = bounds
    channel = first + column
    is_pixel = (row < pixels)[:, None]
    if SHAPE.out_channels % BLOCK_N != 0:
        is_channel = column < SHAPE.out_channels
        inside = is_pixel & is_channel[None, :]
    else:
        is_channel = None
        inside = is_pixel
    if offset is not None:
        total += tl.load(offset + channel, mask=is_channel)[None, :]
    value = total.to(tl.float32)
    addend = tl.load(bias + channel, mask=is_channel)[None, :]
    if factor is not None:
        value = tl.fma(value, tl.load(factor + channel, mask=is_channel)[None, :], addend)
    else:
        value += addend
    if residual is not None:
        if residual.dtype.is_ptr():
            residual = residual_tile(residual, place, SHAPE, BLOCK_N)
        value = tl.fma(widened(residual, ASSEMBLY), residual_factor, value)
    if CLAMPS == 1:
        value = tl.maximum(value, 0.0)
    if CLAMPS == 2:
        value = tl.minimum(tl.maximum(value, low), high)
    made = as_stored(value, 1.0, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + row[:, None] * SHAPE.out_pitch + channel[None, :], made, mask=inside)


@triton.jit
def residual_tile(residual, place, SHAPE: tl.constexpr, BLOCK_N: tl.constexpr):
    """The residual of a tile as stored, (BLOCK_M, BLOCK_N); arguments are those of `finish`."""
    row, column, first, pixels = place
    element = row[:, None] * SHAPE.residual_pitch + (first + column)[None, :]
    if SHAPE.out_channels % BLOCK_N != 0:
        inside = (row < pixels)[:, None] & (column < SHAPE.out_channels)[None, :]
        return tl.load(residual + element, mask=inside, other=0)
    else:
        return tl.load(residual + element, mask=(row < pixels)[:, None], other=0)


@triton.jit
def widened(stored, ASSEMBLY: tl.constexpr):
    """Numbers of any storage format as float32, exactly, for a tile that was loaded in another layout.

    Integers become the mantissa of a number near 1.5 * 2**23, which is subtracted. The compiler moves the
    change of layout in front of a widening, but not in front of assembly: bytes go through shared memory,
    not floats. Half the barriers and half the accesses of `as_float` here.
    """
    if stored.dtype.is_int():
        return (stored.to(tl.int32) + 0x4B400000).to(tl.float32, bitcast=True) - 12582912.0
    else:
        return as_float(stored, ASSEMBLY)
