"""A 3 x 3 convolution of int8 and the 1 x 1 convolution behind it, in one kernel for Hopper.

The first is bound by the matrix units, the second, with its residual, by memory: programs that share a
multiprocessor are in different halves, so that both are busy. What lies between is int8 and never leaves
shared memory: threads hold runs of 16 of its channels (gluon_layout.py), which are stored as they are, as the
operand of the second product.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.runtime.jit import constexpr_function

from tensordyno.forge.kernels.gluon_convolution import (
    as_channels,
    corners,
    load_residual,
    rounded,
    wait_for_previous,
)
from tensordyno.forge.kernels.gluon_names import async_load, barrier
from tensordyno.forge.kernels.gluon_pair_expand import expand, fetch_group, fetch_rows
from tensordyno.forge.kernels.gluon_pointwise import product


@gluon.jit
def windows(first_pixel, pixels, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Of the pixels of a tile, the element where their window begins, and which taps see the image, as bits.

    Behind the last pixel no tap does.
    """
    LINES: gl.constexpr = SHAPE.kernel_h
    COLUMNS: gl.constexpr = SHAPE.kernel_w
    pixel = first_pixel + gl.arange(0, TILE.block_m, layout=gl.SliceLayout(1, TILE.window_copy))
    base, top, left = corners(pixel, SHAPE)
    element = (base + top * SHAPE.width + left) * SHAPE.pitch
    across = gl.zeros_like(pixel)
    for column in gl.static_range(COLUMNS):
        x = left + column
        across |= ((x >= 0) & (x < SHAPE.width)).to(gl.int32) << column
    seen = gl.zeros_like(pixel)
    for line in gl.static_range(LINES):
        y = top + line
        seen |= gl.where((y >= 0) & (y < SHAPE.height), across, 0) << line * COLUMNS
    return element, gl.where(pixel < pixels, seen, 0)


@constexpr_function
def slices_of(shape, tile):
    """How many slices of channels all taps of a window have."""
    return shape.kernel_h * shape.kernel_w * (shape.channels // tile.block_k)


@constexpr_function
def copies_behind(step, steps, stages, behind):
    """How many groups of copies may still be on their way when those of a step are needed, of one tile.

    The first `stages` groups began before the tile did, one more in each step from 1 + `behind` on.
    """
    begun = max(stages, step - 1 - behind + stages)
    return min(begun, steps) - 1 - step


@constexpr_function
def is_fetched(step, steps, stages):
    """Whether the copies of a step begin in its tile, and not before it."""
    return stages <= step < steps


@gluon.jit
def fetch_taps(slot, image, begin, SLICE: gl.constexpr, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying what one tap sees of a tile, one slice of channels; zeros from outside."""
    PARTS: gl.constexpr = SHAPE.channels // TILE.block_k
    TAP: gl.constexpr = SLICE // PARTS
    LINE: gl.constexpr = TAP // SHAPE.kernel_w
    COLUMN: gl.constexpr = TAP % SHAPE.kernel_w
    element, seen = begin
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.window_copy))
    further = (LINE * SHAPE.width + COLUMN) * SHAPE.pitch + SLICE % PARTS * TILE.block_k
    source = image + element[:, None] + channel[None, :] + further
    wanted = (seen & (1 << TAP)) != 0
    async_load(slot.index(0), source, mask=wanted[:, None])


@gluon.jit
def fetch_kernels(slot, weight, SLICE: gl.constexpr, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying the weights of one tap, one slice of channels."""
    PARTS: gl.constexpr = SHAPE.channels // TILE.block_k
    further = SLICE // PARTS * SHAPE.out_channels * SHAPE.channels + SLICE % PARTS * TILE.block_k
    fetch_rows(slot.index(0), weight + further, SHAPE.channels, TILE)


@gluon.jit
def fetch_step(
    rings,
    sources,
    begin,
    STEP: gl.constexpr,
    SLICES: gl.constexpr,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    KEEPS: gl.constexpr,
):
    """Start copying a step of a tile into its slots, as one group of copies; KEEPS: its weights are there."""
    FIRST: gl.constexpr = STEP * SLICES
    SLOT: gl.constexpr = STEP % TILE.stages * SLICES
    for i in gl.static_range(SLICES):
        fetch_taps(rings[0][SLOT + i], sources[0], begin, FIRST + i, SHAPE, TILE)
        if not KEEPS:
            fetch_kernels(rings[1][SLOT + i], sources[1], FIRST + i, SHAPE, TILE)
    async_copy.commit_group()


@gluon.jit
def keep_part(total, first_channel, constants, between, SHAPE: gl.constexpr):
    """Store what becomes of sums (BLOCK_M, channels of a slice) as an operand in shared memory.

    Columns are channels in their order, from `first_channel` on; `constants` are scale, bias, low and high.
    """
    scale, bias, low, high = constants
    channel = first_channel + gl.arange(0, total.shape[1], layout=gl.SliceLayout(0, total.type.layout))
    scales, biases = gl.load(scale + channel)[None, :], gl.load(bias + channel)[None, :]
    between.store(rounded(gl.fma(total.to(gl.float32), scales, biases), low, high, SHAPE.clamps))


@gluon.jit
def keep_between(total, constants, between, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """`keep_part` of sums (BLOCK_M, channels) and `between` (slices, BLOCK_M, channels of a slice).

    There are one or two slices.
    """
    SLICE: gl.constexpr = between.shape[2]
    sums = as_channels(total, TILE)
    if between.shape[0] == 1:
        keep_part(sums, 0, constants, between.index(0), SHAPE)
    else:
        lower, upper = gl.split(sums.reshape((TILE.block_m, 2, SLICE)).permute(0, 2, 1))
        keep_part(lower, 0, constants, between.index(0), SHAPE)
        keep_part(upper, SLICE, constants, between.index(1), SHAPE)


@gluon.jit
def multiply_step(
    total, rings, zero, STEP: gl.constexpr, SLICES: gl.constexpr, TILE: gl.constexpr, KEEPS: gl.constexpr
):
    """Begin to add the products of a step's slices to sums (BLOCK_M, channels)."""
    SLOT: gl.constexpr = STEP % TILE.stages * SLICES
    KERNELS: gl.constexpr = STEP * SLICES if KEEPS else SLOT
    for i in gl.static_range(SLICES):
        kernels = rings[1][KERNELS + i].index(zero).permute((1, 0))
        total = warpgroup_mma(rings[0][SLOT + i].index(zero), kernels, total, is_async=True)
    return total


@gluon.jit
def sum_windows(
    rings,
    sources,
    begin,
    zero,
    SLICES: gl.constexpr,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    KEEPS: gl.constexpr,
    BEHIND: gl.constexpr,
):
    """The sums (BLOCK_M, channels) of the first product, begun: its last step may still run.

    `begin` are the windows of the tile, whose first TILE.stages steps are on their way. A slot is filled
    again one step after its product, with BEHIND 1 two, and the product of one step runs while the next is
    waited for.
    """
    STEPS: gl.constexpr = slices_of(SHAPE, TILE) // SLICES
    # Triton knows instructions for integers of at most 224 columns
    SUMS: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [TILE.warps, 1], [16, min(TILE.block_n, 128), 32])
    total = gl.full((TILE.block_m, TILE.block_n), 0, gl.int32, layout=SUMS)
    for step in gl.static_range(STEPS):
        total = warpgroup_mma_wait(num_outstanding=SLICES * BEHIND, deps=(total,))
        async_copy.wait_group(copies_behind(step, STEPS, TILE.stages, BEHIND))
        fence_async_shared()
        barrier()  # the slices are there for all, and all are done with the slots that are filled next
        total = multiply_step(total, rings, zero, step, SLICES, TILE, KEEPS)
        if is_fetched(step - 1 - BEHIND + TILE.stages, STEPS, TILE.stages):
            fetch_step(rings, sources, begin, step - 1 - BEHIND + TILE.stages, SLICES, SHAPE, TILE, KEEPS)
    return total


@gluon.jit
def slots_of(COUNT: gl.constexpr, ROWS: gl.constexpr, TILE: gl.constexpr):
    """Shared memory for so many slices of ROWS rows, each by itself: Triton orders accesses by allocation."""
    slots = ()
    for _ in gl.static_range(COUNT):
        slots += (gl.allocate_shared_memory(gl.int8, [1, ROWS, TILE.block_k], TILE.operand),)  # type: ignore[assignment]
    return slots


@gluon.jit(do_not_specialize=["pixels"])
def pair(
    image,
    window_weight,
    window_scale,
    window_bias,
    weight,
    scale,
    bias,
    residual,
    output,
    pixels,
    window_low,
    window_high,
    factor,
    low,
    high,
    WINDOW: gl.constexpr,
    EXPAND: gl.constexpr,
    FIRST: gl.constexpr,
    SECOND: gl.constexpr,
    SLICES: gl.constexpr,
    KEEPS: gl.constexpr,
    EARLY: gl.constexpr,
    BEHIND: gl.constexpr,
):
    """Every so-manieth tile of FIRST.block_m pixels, with all channels of both convolutions.

    image (batch, height, width, channels) int8 with WINDOW.pitch from pixel to pixel, residual and output
    likewise with EXPAND's, all 16-byte aligned; window_weight (3, 3, channels, channels) and weight (out
    channels, channels) int8, out channels in the order of columns (hopper_pair.py); window_scale, window_bias
    (channels,) and scale, bias (out channels,) float32. The floats window_low and window_high are in steps of
    what lies between, factor (of the residual), low and high in steps of the output. `pixels` is batch *
    output height * output width.

    FIRST is the tile of the window, with all of its channels; SLICES slices of its pixels, and of its weights
    unless KEEPS, are a step, of which FIRST.stages are in shared memory, at least 2 + BEHIND; those of the
    next tile are fetched while this one is finished. SECOND has as many pixels and the channels of one group;
    weights of SECOND.stages groups are in shared memory, a ring where that is not all of them: it divides the
    groups. Residuals are asked for EARLY groups ahead, which divides the groups too. The grid is as many
    programs as fit the device at a time, and no more than there are tiles.
    """
    PARTS: gl.constexpr = EXPAND.channels // SECOND.block_k
    STAGES: gl.constexpr = FIRST.stages
    SLOTS: gl.constexpr = SECOND.stages
    ALL: gl.constexpr = slices_of(WINDOW, FIRST)
    RING: gl.constexpr = STAGES * SLICES
    a = slots_of(RING, FIRST.block_m, FIRST)
    b = slots_of(ALL if KEEPS else RING, FIRST.block_n, FIRST)
    between_shape: gl.constexpr = [PARTS, SECOND.block_m, SECOND.block_k]
    kept_shape: gl.constexpr = [SLOTS * PARTS, SECOND.block_n, SECOND.block_k]
    between = gl.allocate_shared_memory(gl.int8, between_shape, SECOND.operand)
    kept = gl.allocate_shared_memory(gl.int8, kept_shape, SECOND.operand)

    rings, sources = (a, b), (image, window_weight)
    first_pixel = gl.program_id(0) * FIRST.block_m
    stride = gl.num_programs(0) * FIRST.block_m
    begin = windows(first_pixel, pixels, WINDOW, FIRST)
    if KEEPS:
        for every in gl.static_range(ALL):
            fetch_kernels(b[every], window_weight, every, WINDOW, FIRST)
    wait_for_previous()
    for ahead in gl.static_range(STAGES):
        fetch_step(rings, sources, begin, ahead, SLICES, WINDOW, FIRST, KEEPS)
    for slot in gl.static_range(SLOTS):
        fetch_group(slot, weight, slot, kept, EXPAND, SECOND)
    async_copy.commit_group()
    others = ()
    for group in gl.static_range(EARLY):
        others += (load_residual(residual, first_pixel, group * SECOND.block_n, pixels, EXPAND, SECOND),)  # type: ignore[assignment]
    window_constants = (window_scale, window_bias, window_low, window_high)
    constants = (scale, bias, factor, low, high)
    for now in range(first_pixel, pixels, stride):
        following = now + stride
        zero = now >> 31  # not known to be: else addresses of all slots would be kept in registers
        total = sum_windows(rings, sources, begin, zero, SLICES, WINDOW, FIRST, KEEPS, BEHIND)
        begin = windows(following, pixels, WINDOW, FIRST)
        total = warpgroup_mma_wait(num_outstanding=0, deps=(total,))
        keep_between(total, window_constants, between, WINDOW, FIRST)
        fence_async_shared()
        barrier()  # what lies between is there for all, and all are done with the slots
        begun = product(between, kept, zero, zero, EXPAND, SECOND)
        for ahead in gl.static_range(STAGES):
            fetch_step(rings, sources, begin, ahead, SLICES, WINDOW, FIRST, KEEPS)
        others = expand(
            begun,
            others,
            zero,
            now,
            following,
            (between, kept),
            (weight, residual, output),
            pixels,
            constants,
            EXPAND,
            SECOND,
            EARLY,
            BEHIND,
        )
