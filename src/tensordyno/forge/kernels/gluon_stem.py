"""The stem of a residual network for Hopper: 7 x 7 by steps of 2, then maxima of 3 x 3 by steps of 2.

The image comes in blocks: each 2 x 2 pixels are 16 channels, 12 of them used. The convolution is then one of
4 x 4 by steps of 1, whose kernel rows are 64 consecutive elements that lie aligned. Four rows of blocks make
a row of results; the next one needs one more, so that each is fetched once into a ring. Elements are int8,
whose sums are int32, or fp16 or bf16, whose sums are float32: TILE.width says which.

A row of the matrix product is a pixel, and which one is free. A warp has 16 rows, and a thread rows l and l +
8, where l counts quads: let them be the pixels 2 l - 2 and 2 l - 1 of a stretch of 14. These are one
window's, but for its first pixel, which the quad before holds; the window of the first quad is another
warp's, who has it too. Sums are compared, not results: bias, clamp and rounding keep their order, and a
maximum is converted once.
"""

import triton
import triton.language as tl
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)

from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.gluon_convolution import clamped, rounded, weight_rows
from tensordyno.forge.kernels.gluon_convolution import wait_for_previous as gluon_wait
from tensordyno.forge.kernels.gluon_names import async_load, barrier


@triton.jit(do_not_specialize=["blocks"])
def pack_blocks(image, packed, blocks, ACROSS: tl.constexpr, BLOCK: tl.constexpr):
    """BLOCK blocks of 2 x 2 pixels of 3 channels, as 12 elements and 4 zeros.

    image (batch, height, 2 * ACROSS, 3) and packed (blocks, 16), both as words of two elements; `blocks` is
    batch * height / 2 * ACROSS. A block is 3 words of a line and 3 of the next.
    """
    wait_for_previous()
    block = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    word = tl.arange(0, 8)
    line = block // ACROSS * 2
    start = line * (3 * ACROSS) + block % ACROSS * 3
    place = start[:, None] + (word // 3 * (3 * ACROSS) + word % 3)[None, :]
    is_block = (block < blocks)[:, None]
    words = tl.load(image + place, mask=is_block & (word < 6)[None, :], other=0)
    tl.store(packed + block[:, None] * 8 + word[None, :], words, mask=is_block)


@gluon.jit
def from_quad_before(value):
    """Of each 32-bit value the one that the quad before holds; the first quad keeps its own."""
    before = gl.inline_asm_elementwise(
        asm="shfl.sync.up.b32 $0, $1, 4, 0, 0xffffffff;",
        constraints="=r,r",
        args=[value.to(gl.int32, bitcast=True)],
        dtype=gl.int32,
        is_pure=True,
        pack=1,
    )
    return before.to(value.dtype, bitcast=True)


@gluon.jit
def fetch_weights(kept, weight, TILE: gl.constexpr):
    """Start copying all weights (64, 4, 4, 16), a row of the kernel after the other."""
    element = gl.arange(0, 64, layout=gl.SliceLayout(0, TILE.copy))
    kernels = weight_rows(TILE)[:, None] * 256 + element[None, :]
    for tap in gl.static_range(4):
        async_load(kept.index(tap), weight + kernels + tap * 64)


@gluon.jit
def fetch_row(ring, slot, image, y, first_pixel, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying row y of blocks: for each row of the product the 4 blocks that its pixel sees there.

    `image` points at an image (SHAPE.height, SHAPE.width, 16); outside are zeros. What lies before the first
    pixel sees what the first one sees, which is in its window too.
    """
    row = gl.arange(0, 128, layout=gl.SliceLayout(1, TILE.copy))
    element = gl.arange(0, 64, layout=gl.SliceLayout(0, TILE.copy))
    pixel = first_pixel + row // 16 * 14 + row % 8 * 2 + row % 16 // 8 - 2
    pixel = gl.maximum(pixel, 0)
    block = pixel[:, None] - 2 + (element // 16)[None, :]
    is_block = (block >= 0) & (block < SHAPE.width) & (y >= 0) & (y < SHAPE.height)
    place = y * (SHAPE.width * 16) + (pixel * 16 - 32)[:, None] + element[None, :]
    async_load(ring.index(slot), image + place, mask=is_block)


@gluon.jit
def fetch_two(ring, next, image, oldest, first_pixel, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying the rows of blocks number `next` and `next` + 1, counted from `oldest`."""
    for ahead in gl.static_range(2):
        row = next + ahead
        fetch_row(ring, row % TILE.stages, image, oldest + row, first_pixel, SHAPE, TILE)
    async_copy.commit_group()


@gluon.jit
def begin_row(ring, weights, first, TILE: gl.constexpr):
    """Begin the sums (128, 64) of a row of results whose blocks are in the slots from `first` on."""
    total = gl.full((128, 64), 0, TILE.sum_type, layout=TILE.sums)
    for tap in gl.static_range(4):
        kernels = weights.index(tap).permute((1, 0))
        total = warpgroup_mma(ring.index((first + tap) % TILE.stages), kernels, total, is_async=True)
    return total


@gluon.jit
def pooled(best, TILE: gl.constexpr):
    """Sums (64, 64) of stretch and quad, by channels: maxima of three neighbours among sums (128, 64)."""
    RUN: gl.constexpr = TILE.run
    pairs = best.reshape((8, 2, 8, 64)).permute(0, 2, 3, 1)
    even, odd = gl.split(pairs)
    wide = gl.maximum(gl.maximum(even, odd), from_quad_before(odd))
    apart = wide.reshape((64, 64 // (4 * RUN), RUN // 2, 4, 2)).permute(0, 1, 3, 2, 4)
    return gl.convert_layout(apart.reshape((64, 64)), TILE.pooled)


@gluon.jit
def finished(best, channel, constants, FORMAT: gl.constexpr, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """FORMAT (64, 64) of stretch and quad, by channels: what becomes of the `pooled` sums (128, 64).

    `constants` are scale, bias, low and high of `stem`.
    """
    scale, bias, low, high = constants
    if gl.int8 == FORMAT:
        scales, biases = gl.load(scale + channel)[None, :], gl.load(bias + channel)[None, :]
        value = gl.fma(pooled(best, TILE).to(gl.float32), scales, biases)
        made = rounded(value, low, high, SHAPE.clamps)
    else:
        value = pooled(best, TILE) + gl.load(bias + channel)[None, :]
        made = clamped(value, low, high, SHAPE.clamps).to(FORMAT)
    return made


@gluon.jit(do_not_specialize=["band"])
def stem(image, weight, scale, bias, output, low, high, band, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """`band` rows of one image's result, of SHAPE.windows pixels side by side.

    image (batch, SHAPE.height, SHAPE.width, 16) blocks, weight (64, 4, 4, 16) and output (batch,
    SHAPE.out_height, SHAPE.out_width, 64) with SHAPE.out_pitch from pixel to pixel, all of one format; scale
    and bias (64,) float32, low and high floats, in steps of the output. Real numbers have no scale: None.
    Programs count images, then bands, then stretches of columns. TILE has 128 rows, 64 columns and slices of
    64 elements; TILE.stages is the length of the ring: 7 rows of blocks or more, two of which are fetched
    while five are multiplied, or these 5.
    """
    FETCHES_EARLY: gl.constexpr = TILE.stages >= 7
    bands = gl.cdiv(SHAPE.out_height, band)
    first_window = gl.program_id(0) % SHAPE.columns * SHAPE.windows
    first_row = gl.program_id(0) // SHAPE.columns % bands * band
    index = gl.program_id(0) // SHAPE.columns // bands
    image += index * (SHAPE.height * SHAPE.width * 16)
    ring = gl.allocate_shared_memory(image.dtype.element_ty, [TILE.stages, 128, 64], TILE.operand)
    kept = gl.allocate_shared_memory(weight.dtype.element_ty, [4, 64, 64], TILE.operand)
    fetch_weights(kept, weight, TILE)
    gluon_wait()
    oldest = 2 * first_row - 3  # the row of blocks that is first in the ring
    for row in gl.static_range(min(TILE.stages, 6)):
        fetch_row(ring, row, image, oldest + row, 2 * first_window, SHAPE, TILE)
    async_copy.commit_group()
    async_copy.wait_group(0)
    fence_async_shared()
    barrier()
    above = warpgroup_mma_wait(num_outstanding=0, deps=(begin_row(ring, kept, 0, TILE),))
    if not FETCHES_EARLY:
        barrier()  # all are done with the oldest row
        fetch_row(ring, 0, image, oldest + 5, 2 * first_window, SHAPE, TILE)
        async_copy.commit_group()
    least = gl.full((128, 64), TILE.least_sum, TILE.sum_type, layout=TILE.sums)
    above = gl.where(first_row > 0, above, least)  # there is no row above the first one
    place = gl.arange(0, 64, layout=gl.SliceLayout(1, TILE.pooled))
    window = first_window + place // 8 * 7 + place % 8 - 1
    channel = gl.arange(0, 64, layout=gl.SliceLayout(0, TILE.pooled))
    last = gl.minimum(first_row + band, SHAPE.out_height)
    for row in range(first_row, last):
        async_copy.wait_group(0)
        fence_async_shared()
        barrier()  # the rows are there for all, and all are done with the two oldest
        at = 2 * (row - first_row)
        if FETCHES_EARLY:
            fetch_two(ring, at + 6, image, oldest, 2 * first_window, SHAPE, TILE)
        upper = warpgroup_mma_wait(num_outstanding=0, deps=(begin_row(ring, kept, at + 1, TILE),))
        if FETCHES_EARLY:
            begun = begin_row(ring, kept, at + 2, TILE)
            best = gl.maximum(above, upper)
        else:  # two programs share the registers, too few for sums of three rows at a time
            best = gl.maximum(above, upper)
            begun = begin_row(ring, kept, at + 2, TILE)
        above = warpgroup_mma_wait(num_outstanding=0, deps=(begun,))
        if not FETCHES_EARLY:
            barrier()  # all are done with the two oldest
            fetch_two(ring, at + 6, image, oldest, 2 * first_window, SHAPE, TILE)
        best = gl.maximum(best, above)
        done = finished(best, channel, (scale, bias, low, high), output.dtype.element_ty, SHAPE, TILE)
        pixel = (index * SHAPE.out_height + row) * SHAPE.out_width + window
        is_window = (place % 8 > 0) & (window < SHAPE.out_width)
        gl.store(output + pixel[:, None] * SHAPE.out_pitch + channel[None, :], done, mask=is_window[:, None])
