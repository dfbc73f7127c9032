"""The end of a residual block for Hopper: two 1 x 1 convolutions, one the residual of the other.

The shortcut is computed and rounded as it would be stored, but stays in the registers of the threads that add
it to the sums of the block's last convolution: between the two nothing goes through memory. Elements are
int8, fp16 or bf16, as in gluon_convolution.py.
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
    as_channels,
    clamped,
    finish,
    source_pixels,
    wait_for_previous,
    weight_rows,
)
from tensordyno.forge.kernels.gluon_names import async_load, barrier
from tensordyno.forge.kernels.gluon_pointwise import fetch_pixels, fetch_weights, product
from tensordyno.forge.kernels.gluon_real import floats_to_pairs
from tensordyno.forge.kernels.gluon_stream import place_of


@gluon.jit
def to_words(a, b, c, d):
    """Four tensors of float32 as the int8 of words, rounded as int8_numbers.to_int8 does; a is the lowest."""
    return gl.inline_asm_elementwise(
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
        args=[a, b, c, d],
        dtype=gl.int32,
        is_pure=True,
        pack=1,
    )


@gluon.jit
def to_residual(
    total, constants, first_channel, FORMAT: gl.constexpr, SHAPE: gl.constexpr, TILE: gl.constexpr
):
    """What sums (BLOCK_M, BLOCK_N) of the shortcut are in FORMAT, in words as `load_residual` gives them.

    `constants` are its scale, bias, low and high, in steps of what it makes; real numbers have no scale.
    """
    scale, bias, low, high = constants
    channel = first_channel + gl.arange(0, TILE.block_n, layout=gl.SliceLayout(0, TILE.output))
    if gl.int8 == FORMAT:
        scales, biases = gl.load(scale + channel)[None, :], gl.load(bias + channel)[None, :]
        value = gl.fma(as_channels(total, TILE).to(gl.float32), scales, biases)
    else:
        value = as_channels(total, TILE) + gl.load(bias + channel)[None, :]
    value = clamped(value, low, high, SHAPE.clamps)
    EACH: gl.constexpr = TILE.channels_of_word
    even, odd = gl.split(value.reshape((TILE.block_m, TILE.block_n // EACH, EACH // 2, 2)))
    if gl.int8 == FORMAT:
        a, c = gl.split(even)
        b, d = gl.split(odd)
        words = to_words(a, b, c, d)
    else:
        words = floats_to_pairs(even, odd, FORMAT).reshape((TILE.block_m, TILE.block_n // EACH))
    return gl.convert_layout(words, TILE.words)


@gluon.jit(do_not_specialize=["pixels"])
def kept_shortcut(
    shortcut_image,
    shortcut_weight,
    shortcut_scale,
    shortcut_bias,
    image,
    weight,
    scale,
    bias,
    output,
    pixels,
    shortcut_low,
    shortcut_high,
    factor,
    low,
    high,
    SHORTCUT: gl.constexpr,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    BEHIND: gl.constexpr,
):
    """Every so-manieth tile of TILE.block_m pixels, by TILE.columns * TILE.block_n channels, weights kept.

    Arguments as of `convolution`, twice, all of one format; those of the shortcut in steps of what it makes,
    the others, and `factor` of the shortcut's steps, in steps of the output. `pixels` are those of the
    output, which both convolutions have. With BEHIND 1 both products of a tile begin before the first is
    finished. The grid is any multiple of the groups of output channels, best as many programs as fit the
    device at a time.
    """
    FIRST: gl.constexpr = SHORTCUT.channels // TILE.block_k
    SECOND: gl.constexpr = SHAPE.channels // TILE.block_k
    GROUPS: gl.constexpr = SHAPE.out_channels // (TILE.block_n * TILE.columns)
    first_channel = gl.program_id(0) % GROUPS * (TILE.block_n * TILE.columns)
    first_pixel = gl.program_id(0) // GROUPS * TILE.block_m
    stride = gl.num_programs(0) // GROUPS * TILE.block_m
    rows_a: gl.constexpr = [TILE.stages * FIRST, TILE.block_m, TILE.block_k]
    rows_b: gl.constexpr = [TILE.stages * SECOND, TILE.block_m, TILE.block_k]
    kept_a: gl.constexpr = [TILE.columns * FIRST, TILE.block_n, TILE.block_k]
    kept_b: gl.constexpr = [TILE.columns * SECOND, TILE.block_n, TILE.block_k]
    FORMAT: gl.constexpr = output.dtype.element_ty
    shortcut_ring = gl.allocate_shared_memory(FORMAT, rows_a, TILE.operand)
    ring = gl.allocate_shared_memory(FORMAT, rows_b, TILE.operand)
    shortcut_kept = gl.allocate_shared_memory(FORMAT, kept_a, TILE.operand)
    kept = gl.allocate_shared_memory(FORMAT, kept_b, TILE.operand)
    fetch_weights(shortcut_kept, shortcut_weight, first_channel, SHORTCUT, TILE)
    fetch_weights(kept, weight, first_channel, SHAPE, TILE)
    wait_for_previous()
    for slot in gl.static_range(TILE.stages - 1):
        fetch_pixels(shortcut_ring, slot, shortcut_image, first_pixel + slot * stride, pixels, SHORTCUT, TILE)
        fetch_pixels(ring, slot, image, first_pixel + slot * stride, pixels, SHAPE, TILE)
    shortcut_constants = (shortcut_scale, shortcut_bias, shortcut_low, shortcut_high)
    constants = (scale, bias, factor, low, high)
    slot = 0
    for now in range(first_pixel, pixels, stride):
        async_copy.wait_group(2 * (TILE.stages - 2))  # two groups of copies a tile
        fence_async_shared()
        barrier()  # the tile is there for all, and all are done with the slot before
        free = (slot + TILE.stages - 1) % TILE.stages
        later = now + (TILE.stages - 1) * stride
        fetch_pixels(shortcut_ring, free, shortcut_image, later, pixels, SHORTCUT, TILE)
        fetch_pixels(ring, free, image, later, pixels, SHAPE, TILE)
        for column in range(TILE.columns):  # not unrolled, so that the code stays in the instruction cache
            channel = first_channel + column * TILE.block_n
            begun = product(shortcut_ring, shortcut_kept, slot * FIRST, column, SHORTCUT, TILE)
            if BEHIND:
                second = product(ring, kept, slot * SECOND, column, SHAPE, TILE)
                total = warpgroup_mma_wait(num_outstanding=SECOND, deps=(begun,))
                residual = to_residual(total, shortcut_constants, channel, FORMAT, SHORTCUT, TILE)
            else:
                total = warpgroup_mma_wait(num_outstanding=0, deps=(begun,))
                residual = to_residual(total, shortcut_constants, channel, FORMAT, SHORTCUT, TILE)
                second = product(ring, kept, slot * SECOND, column, SHAPE, TILE)
            total = warpgroup_mma_wait(num_outstanding=0, deps=(second,))
            finish(total, residual, constants, output, (now, channel), pixels, SHAPE, TILE)
        slot = (slot + 1) % TILE.stages


@gluon.jit
def fetch_part(part, slot, rings, sources, place, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying slice `part` of the pixels and weights of one convolution; behind the last nothing is."""
    a, b = rings
    image, weight = sources
    first_pixel, first_channel = place
    channel = part * TILE.block_k + gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.copy))
    places = source_pixels(pixel, SHAPE)[:, None] * SHAPE.pitch + channel[None, :]
    async_load(a.index(slot), image + places, mask=(pixel < pixels)[:, None])
    kernels = (first_channel + weight_rows(TILE))[:, None] * SHAPE.channels + channel[None, :]
    async_load(b.index(slot), weight + kernels, mask=first_pixel < pixels)


@gluon.jit
def fetch_slice(
    step, rings, sources, pixels, SHORTCUT: gl.constexpr, SHAPE: gl.constexpr, TILE: gl.constexpr
):
    """Start copying the slices of a program's step, counted over all of its tiles, the shortcut's first."""
    FIRST: gl.constexpr = SHORTCUT.channels // TILE.block_k
    SLICES: gl.constexpr = FIRST + SHAPE.channels // TILE.block_k
    place = place_of(gl.program_id(0) + step // SLICES * gl.num_programs(0), SHAPE, TILE)
    slot = step % TILE.stages
    shortcut_image, shortcut_weight, image, weight = sources
    if step % SLICES < FIRST:  # known to the compiler where `step` is, so that no branch is dead
        part = step % SLICES
        fetch_part(part, slot, rings, (shortcut_image, shortcut_weight), place, pixels, SHORTCUT, TILE)
    else:
        part = step % SLICES - FIRST
        fetch_part(part, slot, rings, (image, weight), place, pixels, SHAPE, TILE)
    async_copy.commit_group()


@gluon.jit
def advance(
    step,
    total,
    rings,
    sources,
    pixels,
    SHORTCUT: gl.constexpr,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    BEHIND: gl.constexpr,
    COUNT: gl.constexpr,
):
    """Add the products of a step's slices to sums (BLOCK_M, BLOCK_N); with BEHIND 1 they may still run.

    COUNT is how many slices are added up. Copies of slices to come begin while a product runs: the one
    before, or this one. That of a single slice is waited for at once, else it takes too many registers.
    """
    AHEAD: gl.constexpr = TILE.stages - 1 - BEHIND
    FIRST: gl.constexpr = BEHIND == 1 or COUNT == 1
    a, b = rings
    slot = step % TILE.stages
    async_copy.wait_group(AHEAD - 1)
    fence_async_shared()
    barrier()  # the slices are there for all, and all are done with the slot that is filled next
    if FIRST:
        fetch_slice(step + AHEAD, rings, sources, pixels, SHORTCUT, SHAPE, TILE)
    begun = warpgroup_mma(a.index(slot), b.index(slot).permute((1, 0)), total, is_async=True)
    if not FIRST:
        fetch_slice(step + AHEAD, rings, sources, pixels, SHORTCUT, SHAPE, TILE)
    return warpgroup_mma_wait(num_outstanding=BEHIND, deps=(begun,))


@gluon.jit(do_not_specialize=["pixels"])
def streamed_shortcut(
    shortcut_image,
    shortcut_weight,
    shortcut_scale,
    shortcut_bias,
    image,
    weight,
    scale,
    bias,
    output,
    pixels,
    shortcut_low,
    shortcut_high,
    factor,
    low,
    high,
    SHORTCUT: gl.constexpr,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    BEHIND: gl.constexpr,
):
    """Every so-manieth tile of TILE.block_m pixels by TILE.block_n channels, weights fetched with pixels.

    Arguments as of `kept_shortcut`, but that with BEHIND 1 the product of one slice runs while the next is
    waited for. One ring holds slices of the shortcut's operands and then of the other's, across the ends of
    tiles. The grid is any number of programs, at most as many as there are tiles.
    """
    FIRST: gl.constexpr = SHORTCUT.channels // TILE.block_k
    SECOND: gl.constexpr = SHAPE.channels // TILE.block_k
    a_shape: gl.constexpr = [TILE.stages, TILE.block_m, TILE.block_k]
    b_shape: gl.constexpr = [TILE.stages, TILE.block_n, TILE.block_k]
    FORMAT: gl.constexpr = output.dtype.element_ty
    a = gl.allocate_shared_memory(FORMAT, a_shape, TILE.operand)
    b = gl.allocate_shared_memory(FORMAT, b_shape, TILE.operand)
    rings = (a, b)
    sources = (shortcut_image, shortcut_weight, image, weight)
    wait_for_previous()
    for ahead in gl.static_range(TILE.stages - 1 - BEHIND):
        fetch_slice(ahead, rings, sources, pixels, SHORTCUT, SHAPE, TILE)
    tiles = gl.cdiv(pixels, TILE.block_m) * (SHAPE.out_channels // TILE.block_n)
    shortcut_constants = (shortcut_scale, shortcut_bias, shortcut_low, shortcut_high)
    constants = (scale, bias, factor, low, high)
    step = 0
    for tile in range(gl.program_id(0), tiles, gl.num_programs(0)):
        first_pixel, first_channel = place_of(tile, SHAPE, TILE)
        total = gl.full((TILE.block_m, TILE.block_n), 0, TILE.sum_type, layout=TILE.sums)
        for _ in range(FIRST):
            total = advance(step, total, rings, sources, pixels, SHORTCUT, SHAPE, TILE, BEHIND, FIRST)
            step += 1
        total = warpgroup_mma_wait(num_outstanding=0, deps=(total,))
        residual = to_residual(total, shortcut_constants, first_channel, FORMAT, SHORTCUT, TILE)
        total = gl.full((TILE.block_m, TILE.block_n), 0, TILE.sum_type, layout=TILE.sums)
        for _ in range(SECOND):
            total = advance(step, total, rings, sources, pixels, SHORTCUT, SHAPE, TILE, BEHIND, SECOND)
            step += 1
        total = warpgroup_mma_wait(num_outstanding=0, deps=(total,))
        finish(total, residual, constants, output, (first_pixel, first_channel), pixels, SHAPE, TILE)
