"""A 1 x 1 convolution for Hopper whose programs stay: weights are fetched once, pixels stream by.

Where few channels are summed a tile is over before its latencies are paid for. Here a program keeps the
weights of its output channels in shared memory and walks over tiles of pixels; those to come, and the next
residual, are on their way while one is finished.
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
    finish,
    load_residual,
    source_pixels,
    wait_for_previous,
    weight_rows,
)
from tensordyno.forge.kernels.gluon_names import async_load, barrier


@gluon.jit
def fetch_weights(kept, weight, first_channel, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying the weights of TILE.columns * TILE.block_n output channels, slice by slice."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    rows = first_channel + weight_rows(TILE)
    COLUMNS: gl.constexpr = TILE.columns
    for column in gl.static_range(COLUMNS):
        for part in gl.static_range(SLICES):
            place = (
                (rows + column * TILE.block_n)[:, None] * SHAPE.channels
                + part * TILE.block_k
                + channel[None, :]
            )
            async_load(kept.index(column * SLICES + part), weight + place)


@gluon.jit
def fetch_pixels(ring, slot, image, first_pixel, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying all channels of TILE.block_m pixels into a slot; behind the last pixel nothing is."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.copy))
    source = source_pixels(pixel, SHAPE)
    for part in gl.static_range(SLICES):
        place = source[:, None] * SHAPE.pitch + part * TILE.block_k + channel[None, :]
        is_pixel = (pixel < pixels)[:, None]
        async_load(ring.index(slot * SLICES + part), image + place, mask=is_pixel)
    async_copy.commit_group()


@gluon.jit
def product(pixels, weights, first, column, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Begin the sums (BLOCK_M, BLOCK_N) over all slices, those of the pixels from slot `first` on."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    total = gl.full((TILE.block_m, TILE.block_n), 0, TILE.sum_type, layout=TILE.sums)
    for part in gl.static_range(SLICES):
        kernels = weights.index(column * SLICES + part).permute((1, 0))
        total = warpgroup_mma(pixels.index(first + part), kernels, total, is_async=True)
    return total


@gluon.jit(do_not_specialize=["pixels"])
def pointwise(
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
    """Every so-manieth tile of TILE.block_m pixels, by TILE.columns * TILE.block_n channels.

    Arguments as of `convolution`, of a kernel of 1 x 1 without padding. The grid is any multiple of the
    groups of output channels, best as many programs as fit the device at a time.
    """
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    COLUMNS: gl.constexpr = TILE.columns
    GROUPS: gl.constexpr = SHAPE.out_channels // (TILE.block_n * COLUMNS)
    first_channel = gl.program_id(0) % GROUPS * (TILE.block_n * TILE.columns)
    first_pixel = gl.program_id(0) // GROUPS * TILE.block_m
    stride = gl.num_programs(0) // GROUPS * TILE.block_m
    ring_shape: gl.constexpr = [TILE.stages * SLICES, TILE.block_m, TILE.block_k]
    kept_shape: gl.constexpr = [TILE.columns * SLICES, TILE.block_n, TILE.block_k]
    ring = gl.allocate_shared_memory(image.dtype.element_ty, ring_shape, TILE.operand)
    kept = gl.allocate_shared_memory(weight.dtype.element_ty, kept_shape, TILE.operand)
    fetch_weights(kept, weight, first_channel, SHAPE, TILE)
    wait_for_previous()
    for slot in gl.static_range(TILE.stages - 1):
        fetch_pixels(ring, slot, image, first_pixel + slot * stride, pixels, SHAPE, TILE)
    constants = (scale, bias, factor, low, high)
    other = load_residual(residual, first_pixel, first_channel, pixels, SHAPE, TILE)
    slot = 0
    for now in range(first_pixel, pixels, stride):
        async_copy.wait_group(TILE.stages - 2)
        fence_async_shared()
        barrier()  # the tile is there for all, and all are done with the slot before
        free = (slot + TILE.stages - 1) % TILE.stages
        fetch_pixels(ring, free, image, now + (TILE.stages - 1) * stride, pixels, SHAPE, TILE)
        for column in range(COLUMNS):  # not unrolled, so that the code stays in the instruction cache
            begun = product(ring, kept, slot * SLICES, column, SHAPE, TILE)
            later = now + (column + 1) // COLUMNS * stride
            channel = first_channel + (column + 1) % COLUMNS * TILE.block_n
            upcoming = load_residual(residual, later, channel, pixels, SHAPE, TILE)
            total = warpgroup_mma_wait(num_outstanding=0, deps=(begun,))
            place = (now, first_channel + column * TILE.block_n)
            finish(total, other, constants, output, place, pixels, SHAPE, TILE)
            other = upcoming
        slot = (slot + 1) % TILE.stages
