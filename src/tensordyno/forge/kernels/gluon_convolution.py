"""A convolution for Hopper, in Gluon: one tile a program, whose results go straight to memory.

Images lie as (batch, height, width, channels). A row of the matrix product is an output pixel, a column an
output channel (gluon_layout.py says which), the sum runs over kernel rows, kernel columns and channels.
Elements are int8, whose sums are int32, or fp16 or bf16, whose sums are float32: TILE.width says which.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)

from tensordyno.forge.kernels import early_start, int8_numbers
from tensordyno.forge.kernels.gluon_names import async_load, barrier
from tensordyno.forge.kernels.gluon_real import pairs_to_floats

to_int8 = gluon.jit(int8_numbers.to_int8.fn)
wait_for_previous = gluon.jit(early_start.wait_for_previous.fn)


@gluon.jit
def to_floats(words):
    """Four int8 of each word as float32, by the means of int8_numbers.to_float: four tensors like `words`."""
    return gl.inline_asm_elementwise(
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
        args=[words],
        dtype=(gl.float32, gl.float32, gl.float32, gl.float32),
        is_pure=True,
        pack=1,
    )


@gluon.jit
def weight_rows(TILE: gl.constexpr):
    """(BLOCK_N,) rows of weights in the order in which they become columns: channel of column 8j + 2q + e."""
    RUN: gl.constexpr = TILE.run
    column = gl.arange(0, TILE.block_n, layout=gl.SliceLayout(1, TILE.copy))
    place = column // 8 * 2 + column % 2  # of the columns of one thread, which are RUN of every 4 * RUN
    return place // RUN * (4 * RUN) + column % 8 // 2 * RUN + place % RUN


@gluon.jit
def as_channels(total, TILE: gl.constexpr):
    """Sums (BLOCK_M, BLOCK_N) by the channels that their columns stand for; no register moves."""
    RUN: gl.constexpr = TILE.run
    apart = total.reshape((TILE.block_m, TILE.block_n // (4 * RUN), RUN // 2, 4, 2)).permute(0, 1, 3, 2, 4)
    return gl.convert_layout(apart.reshape((TILE.block_m, TILE.block_n)), TILE.output)


@gluon.jit
def load_residual(residual, first_pixel, first_channel, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """The residual of a tile, words of four bytes, BLOCK_M rows, in the threads of the sums.

    Words, since a loop that carries bytes takes them apart and packs them again. Without residual a number.
    """
    words = first_pixel
    if SHAPE.residual_pitch:
        EACH: gl.constexpr = TILE.channels_of_word
        WORDS: gl.constexpr = TILE.block_n // EACH
        pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.words))
        word = first_channel // EACH + gl.arange(0, WORDS, layout=gl.SliceLayout(0, TILE.words))
        source = residual.to(gl.pointer_type(gl.int32), bitcast=True)
        place = pixel[:, None] * (SHAPE.residual_pitch // EACH) + word[None, :]
        words = gl.load(source + place, mask=(pixel < pixels)[:, None], other=0)
    return words


@gluon.jit
def clamped(value, low, high, CLAMPS: gl.constexpr):
    """As Shape.clamps says."""
    if CLAMPS == 1:
        value = gl.maximum(value, 0.0)
    if CLAMPS == 2:
        value = gl.minimum(gl.maximum(value, low), high)
    return value


@gluon.jit
def rounded(value, low, high, CLAMPS: gl.constexpr):
    """Steps of the output as int8, clamped as Shape.clamps says."""
    return to_int8(clamped(value, low, high, CLAMPS), True)


@gluon.jit
def residual_floats(words, FORMAT: gl.constexpr, TILE: gl.constexpr):
    """What `load_residual` gave, of elements of FORMAT, as float32 (BLOCK_M, BLOCK_N) by channels."""
    if gl.int8 == FORMAT:
        a, b, c, d = to_floats(words)
        apart = gl.join(gl.join(a, c), gl.join(b, d))
    else:
        lower, upper = pairs_to_floats(words, FORMAT)
        apart = gl.join(lower, upper)
    return gl.convert_layout(apart.reshape((TILE.block_m, TILE.block_n)), TILE.output)


@gluon.jit
def finish(total, other, constants, output, place, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Store what becomes of sums (BLOCK_M, BLOCK_N): of integers as reference_folded.py says, bit for bit.

    `other` is what `load_residual` gave, `constants` are scale, bias, factor, low and high of `convolution`,
    `place` is the first pixel and the first channel.
    """
    FORMAT: gl.constexpr = output.dtype.element_ty
    scale, bias, factor, low, high = constants
    first_pixel, first_channel = place
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.output))
    channel = first_channel + gl.arange(0, TILE.block_n, layout=gl.SliceLayout(0, TILE.output))
    if gl.int8 == FORMAT:
        scales, biases = gl.load(scale + channel)[None, :], gl.load(bias + channel)[None, :]
        value = gl.fma(as_channels(total, TILE).to(gl.float32), scales, biases)
    else:
        value = as_channels(total, TILE) + gl.load(bias + channel)[None, :]
    if SHAPE.residual_pitch:
        value = gl.fma(residual_floats(other, FORMAT, TILE), factor, value)
    at = output + pixel[:, None] * SHAPE.out_pitch + channel[None, :]
    if gl.int8 == FORMAT:
        made = rounded(value, low, high, SHAPE.clamps)
    else:
        made = clamped(value, low, high, SHAPE.clamps).to(FORMAT)
    gl.store(at, made, mask=(pixel < pixels)[:, None])


@gluon.jit
def corners(row, SHAPE: gl.constexpr):
    """Of output pixels, the first pixel of their image and where in it their window begins."""
    across = row % SHAPE.out_width
    lines = row // SHAPE.out_width
    top = lines % SHAPE.out_height * SHAPE.stride_h - SHAPE.pad_top
    left = across * SHAPE.stride_w - SHAPE.pad_left
    return lines // SHAPE.out_height * (SHAPE.height * SHAPE.width), top, left


@gluon.jit
def source_pixels(row, SHAPE: gl.constexpr):
    """The input pixels of output pixels, of a 1 x 1 kernel without padding."""
    pixel = row
    if SHAPE.stride_h * SHAPE.stride_w > 1:
        base, top, left = corners(row, SHAPE)
        pixel = base + top * SHAPE.width + left
    return pixel


@gluon.jit
def fetch_kernels(step, ring, weight, rows, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying a slice of weights, those of `rows`, into its slot; behind the last nothing is."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    TAPS: gl.constexpr = SHAPE.kernel_h * SHAPE.kernel_w
    channel = step % SLICES * TILE.block_k + gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    kernels = weight + (rows * TAPS + step // SLICES)[:, None] * SHAPE.channels + channel[None, :]
    there = step < TAPS * SLICES
    async_load(ring.index(step % TILE.stages), kernels, mask=there)


@gluon.jit
def fetch_windows(step, ring, image, place, is_pixel, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying a slice of pixels into its slot; behind the last nothing is."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    TAPS: gl.constexpr = SHAPE.kernel_h * SHAPE.kernel_w
    base, top, left = place
    tap = step // SLICES
    channel = step % SLICES * TILE.block_k + gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    y = top + tap // SHAPE.kernel_w
    x = left + tap % SHAPE.kernel_w
    wanted = is_pixel & (step < TAPS * SLICES)
    if SHAPE.is_padded:
        wanted = wanted & (y >= 0) & (y < SHAPE.height) & (x >= 0) & (x < SHAPE.width)
    pixels = image + (base + y * SHAPE.width + x)[:, None] * SHAPE.pitch + channel[None, :]
    async_load(ring.index(step % TILE.stages), pixels, mask=wanted[:, None])


@gluon.jit(do_not_specialize=["pixels"])
def convolution(
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
    """One tile of TILE.block_m pixels by TILE.block_n channels of a convolution.

    image (batch, height, width, channels) with SHAPE.pitch from pixel to pixel, residual and output likewise,
    of one format and 16-byte aligned; weight (out channels, kernel height, kernel width, channels) of the
    same; scale and bias (out channels,) float32, and the floats `factor` (of the residual), low and high: all
    in steps of the output. Real numbers have no scale: None, and a factor of 1. `pixels` is batch * output
    height * output width. The grid is tiles of pixels * tiles of channels.
    """
    COLUMNS: gl.constexpr = SHAPE.out_channels // TILE.block_n
    STEPS: gl.constexpr = SHAPE.kernel_h * SHAPE.kernel_w * (SHAPE.channels // TILE.block_k)
    first_pixel = gl.program_id(0) // COLUMNS * TILE.block_m
    first_channel = gl.program_id(0) % COLUMNS * TILE.block_n
    a_shape: gl.constexpr = [TILE.stages, TILE.block_m, TILE.block_k]
    b_shape: gl.constexpr = [TILE.stages, TILE.block_n, TILE.block_k]
    a = gl.allocate_shared_memory(image.dtype.element_ty, a_shape, TILE.operand)
    b = gl.allocate_shared_memory(weight.dtype.element_ty, b_shape, TILE.operand)
    rows = first_channel + weight_rows(TILE)
    for step in gl.static_range(TILE.stages - 1):  # weights are there before the pixels are
        fetch_kernels(step, b, weight, rows, SHAPE, TILE)
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.copy))
    place = corners(pixel, SHAPE)
    wait_for_previous()
    for step in gl.static_range(TILE.stages - 1):
        fetch_windows(step, a, image, place, pixel < pixels, SHAPE, TILE)
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
        fetch_windows(step + TILE.stages - 1, a, image, place, pixel < pixels, SHAPE, TILE)
        fetch_kernels(step + TILE.stages - 1, b, weight, rows, SHAPE, TILE)
        async_copy.commit_group()
    total = warpgroup_mma_wait(num_outstanding=0, deps=(total,))
    constants = (scale, bias, factor, low, high)
    finish(total, other, constants, output, (first_pixel, first_channel), pixels, SHAPE, TILE)
