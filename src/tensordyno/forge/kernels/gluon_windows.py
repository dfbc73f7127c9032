"""A convolution for Hopper whose windows cost few instructions: gluon_convolution.py with less arithmetic.

Where a tile has few channels a slice is multiplied in few clocks, and the addresses of its pixels take as
long as the products. Here a thread keeps for each of its pixels where the window begins, and as bits which
rows and columns of the window lie outside the image. What is left of a slice is a number for all pixels.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)

from tensordyno.forge.kernels.gluon_convolution import (
    corners,
    finish,
    load_residual,
    wait_for_previous,
    weight_rows,
)
from tensordyno.forge.kernels.gluon_names import async_load, barrier

LONGEST_WINDOW = 15  # rows and columns that there are bits for
_LONGEST: gl.constexpr = gl.constexpr(LONGEST_WINDOW)


@gluon.jit
def windows(pixel, pixels, SHAPE: gl.constexpr):
    """Of output pixels, the element at which their window begins, and what of it they do not see, as bits.

    Bits 0 to 14 are rows of the window, 15 to 29 columns. Bit 30 is a slice that does not exist; what lies
    behind the last pixel sees nothing.
    """
    base, top, left = corners(pixel, SHAPE)
    unseen = gl.where(pixel < pixels, 1 << 30, -1)
    if SHAPE.is_padded:
        HEIGHT: gl.constexpr = SHAPE.kernel_h
        WIDTH: gl.constexpr = SHAPE.kernel_w
        for row in gl.static_range(HEIGHT):
            y = top + row
            unseen |= gl.where((y >= 0) & (y < SHAPE.height), 0, 1 << row)
        for column in gl.static_range(WIDTH):
            x = left + column
            unseen |= gl.where((x >= 0) & (x < SHAPE.width), 0, 1 << (_LONGEST + column))
    return (base + top * SHAPE.width + left) * SHAPE.pitch, unseen


@gluon.jit
def slice_of(step, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """The tap of the window and the part of the channels that are multiplied in a step.

    Steps go through all channels of a tap, or, if pixels are to be found in the first-level cache, through
    all taps of some channels, whose windows overlap.
    """
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    TAPS: gl.constexpr = SHAPE.kernel_h * SHAPE.kernel_w
    if TILE.cached:
        tap, part = step % TAPS, step // TAPS
    else:
        tap, part = step // SLICES, step % SLICES
    return tap, part, step < TAPS * SLICES


@gluon.jit
def fetch_kernels(step, ring, kernels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying a slice of weights into its slot; `kernels` points at the first slice of each."""
    tap, part, there = slice_of(step, SHAPE, TILE)
    source = kernels + (tap * SHAPE.channels + part * TILE.block_k)
    async_load(ring.index(step % TILE.stages), source, mask=there)


@gluon.jit
def fetch_windows(step, ring, image, places, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying a slice of pixels into its slot; behind the last nothing is. `windows` gave `places`."""
    tap, part, there = slice_of(step, SHAPE, TILE)
    first, unseen = places
    y, x = tap // SHAPE.kernel_w, tap % SHAPE.kernel_w
    bits = gl.where(there, (1 << y) | (1 << (_LONGEST + x)), 1 << 30)
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.window_copy))
    source = image + ((y * SHAPE.width + x) * SHAPE.pitch + part * TILE.block_k)
    pixels = source + (first[:, None] + channel[None, :])
    wanted = (unseen & bits) == 0
    async_load(ring.index(step % TILE.stages), pixels, mask=wanted[:, None])


@gluon.jit(do_not_specialize=["pixels"])
def convolve_windows(
    image,
    weight,
    scale,
    bias,
    residual,
    output,
    pixels,
    factor,
    low,
    high,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
):
    """One tile of TILE.block_m pixels by TILE.block_n channels: arguments and grid as of `convolution`.

    A window has at most LONGEST_WINDOW rows and columns.
    """
    COLUMNS: gl.constexpr = SHAPE.out_channels // TILE.block_n
    STEPS: gl.constexpr = SHAPE.kernel_h * SHAPE.kernel_w * (SHAPE.channels // TILE.block_k)
    first_pixel = gl.program_id(0) // COLUMNS * TILE.block_m
    first_channel = gl.program_id(0) % COLUMNS * TILE.block_n
    a_shape: gl.constexpr = [TILE.stages, TILE.block_m, TILE.block_k]
    b_shape: gl.constexpr = [TILE.stages, TILE.block_n, TILE.block_k]
    a = gl.allocate_shared_memory(image.dtype.element_ty, a_shape, TILE.operand)
    b = gl.allocate_shared_memory(weight.dtype.element_ty, b_shape, TILE.operand)
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    rows = (first_channel + weight_rows(TILE)) * (SHAPE.kernel_h * SHAPE.kernel_w * SHAPE.channels)
    kernels = weight + (rows[:, None] + channel[None, :])
    for step in gl.static_range(TILE.stages - 1):  # weights are there before the pixels are
        fetch_kernels(step, b, kernels, SHAPE, TILE)
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.window_copy))
    places = windows(pixel, pixels, SHAPE)
    wait_for_previous()
    for step in gl.static_range(TILE.stages - 1):
        fetch_windows(step, a, image, places, SHAPE, TILE)
        async_copy.commit_group()
    other = load_residual(residual, first_pixel, first_channel, pixels, SHAPE, TILE)  # needed last
    total = gl.full((TILE.block_m, TILE.block_n), 0, TILE.sum_type, layout=TILE.sums)
    for step in range(STEPS):
        async_copy.wait_group(TILE.stages - 2)
        fence_async_shared()
        barrier()
        slot = step % TILE.stages
        total = warpgroup_mma(a.index(slot), b.index(slot).permute((1, 0)), total, is_async=True)
        total = warpgroup_mma_wait(num_outstanding=1, deps=(total,))  # the slot behind is free again
        fetch_windows(step + TILE.stages - 1, a, image, places, SHAPE, TILE)
        fetch_kernels(step + TILE.stages - 1, b, kernels, SHAPE, TILE)
        async_copy.commit_group()
    total = warpgroup_mma_wait(num_outstanding=0, deps=(total,))
    constants = (scale, bias, factor, low, high)
    finish(total, other, constants, output, (first_pixel, first_channel), pixels, SHAPE, TILE)
