"""A 1 x 1 convolution for Hopper whose programs stay and fetch ahead, across the ends of tiles.

For kernels whose weights are too many to keep (gluon_pointwise.py): slices of pixels and weights come through
one ring, and those of the next tile are on their way, as its residual is, while one is finished.
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
def place_of(tile, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """The first pixel and the first channel of a tile; those of the same pixels follow each other."""
    COLUMNS: gl.constexpr = SHAPE.out_channels // TILE.block_n
    return tile // COLUMNS * TILE.block_m, tile % COLUMNS * TILE.block_n


@gluon.jit
def fetch_slice(step, rings, image, weight, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying the slices of a program's step, counted over all of its tiles.

    Behind the last tile no pixels are copied, and weights that nobody reads.
    """
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    a, b = rings
    first_pixel, first_channel = place_of(gl.program_id(0) + step // SLICES * gl.num_programs(0), SHAPE, TILE)
    slot = step % TILE.stages
    channel = step % SLICES * TILE.block_k + gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.copy))
    place = source_pixels(pixel, SHAPE)[:, None] * SHAPE.pitch + channel[None, :]
    async_load(a.index(slot), image + place, mask=(pixel < pixels)[:, None])
    kernels = (first_channel + weight_rows(TILE))[:, None] * SHAPE.channels + channel[None, :]
    async_load(b.index(slot), weight + kernels)
    async_copy.commit_group()


@gluon.jit(do_not_specialize=["pixels"])
def stream(
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
    """Every so-manieth tile of TILE.block_m pixels by TILE.block_n channels.

    Arguments as of `convolution`, of a kernel of 1 x 1 without padding. The grid is as many programs as fit
    the device at a time, and no more than there are tiles.
    """
    wait_for_previous()
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    a_shape: gl.constexpr = [TILE.stages, TILE.block_m, TILE.block_k]
    b_shape: gl.constexpr = [TILE.stages, TILE.block_n, TILE.block_k]
    a = gl.allocate_shared_memory(image.dtype.element_ty, a_shape, TILE.operand)
    b = gl.allocate_shared_memory(weight.dtype.element_ty, b_shape, TILE.operand)
    for ahead in gl.static_range(TILE.stages - 1):
        fetch_slice(ahead, (a, b), image, weight, pixels, SHAPE, TILE)
    constants = (scale, bias, factor, low, high)
    tiles = gl.cdiv(pixels, TILE.block_m) * (SHAPE.out_channels // TILE.block_n)
    place = place_of(gl.program_id(0), SHAPE, TILE)
    other = load_residual(residual, place[0], place[1], pixels, SHAPE, TILE)
    step = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        total = gl.full((TILE.block_m, TILE.block_n), 0, TILE.sum_type, layout=TILE.sums)
        for _ in range(SLICES):
            async_copy.wait_group(TILE.stages - 2)
            fence_async_shared()
            barrier()  # the slices are there for all, and all are done with the slot before
            fetch_slice(step + TILE.stages - 1, (a, b), image, weight, pixels, SHAPE, TILE)
            slot = step % TILE.stages
            begun = warpgroup_mma(a.index(slot), b.index(slot).permute((1, 0)), total, is_async=True)
            total = warpgroup_mma_wait(num_outstanding=0, deps=(begun,))
            step += 1
        following = place_of(tile + gl.num_programs(0), SHAPE, TILE)
        upcoming = load_residual(residual, following[0], following[1], pixels, SHAPE, TILE)
        finish(total, other, constants, output, place, pixels, SHAPE, TILE)
        place, other = following, upcoming
