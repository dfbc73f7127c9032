"""The second half of gluon_pair.py: the 1 x 1 convolution of what lies in shared memory, group by group.

A group is TILE.block_n output channels. Their weights come through a ring, or are kept if all of them fit;
residuals are asked for some groups ahead.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy
from triton.experimental.gluon.language.nvidia.hopper import fence_async_shared, warpgroup_mma_wait

from tensordyno.forge.kernels.gluon_convolution import finish, load_residual
from tensordyno.forge.kernels.gluon_names import async_load, barrier
from tensordyno.forge.kernels.gluon_pointwise import product


@gluon.jit
def fetch_rows(slot, weight, CHANNELS: gl.constexpr, TILE: gl.constexpr):
    """Start copying a slice of TILE.block_n rows of weights, CHANNELS apart."""
    channel = gl.arange(0, TILE.block_k, layout=gl.SliceLayout(0, TILE.copy))
    row = gl.arange(0, TILE.block_n, layout=gl.SliceLayout(1, TILE.copy))
    async_load(slot, weight + (row * CHANNELS)[:, None] + channel[None, :])


@gluon.jit
def fetch_group(slot, weight, group, kept, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """Start copying the weights of one group of output channels of the 1 x 1 kernel, all slices of them."""
    SLICES: gl.constexpr = SHAPE.channels // TILE.block_k
    first = weight + group * (TILE.block_n * SHAPE.channels)
    for part in gl.static_range(SLICES):
        fetch_rows(kept.index(slot * SLICES + part), first + part * TILE.block_k, SHAPE.channels, TILE)


@gluon.jit
def turn(group, kept, weight, SHAPE: gl.constexpr, TILE: gl.constexpr):
    """When the product of a group is done: let the next weights be there, and fetch others in its place."""
    GROUPS: gl.constexpr = SHAPE.out_channels // TILE.block_n
    SLOTS: gl.constexpr = TILE.stages
    if SLOTS < GROUPS:
        async_copy.wait_group(SLOTS - 2)
        fence_async_shared()
        barrier()  # the next group is there for all, and all are done with this one
        fetch_group(group % SLOTS, weight, (group + SLOTS) % GROUPS, kept, SHAPE, TILE)
        async_copy.commit_group()


@gluon.jit
def finish_groups(
    begun,
    others,
    zero,
    places,
    parts,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    EARLY: gl.constexpr,
    BEHIND: gl.constexpr,
    PRODUCTS: gl.constexpr,
):
    """Finish EARLY groups of channels of a tile.

    `places` are the first of them and the tile's first pixel, then the same of as many groups whose residuals
    are asked for. `begun` is the product of the first group, and PRODUCTS more are begun here; returned are
    the last of these and the residuals. With BEHIND 1 a group is finished while the next is multiplied.
    `parts` are operands, sources, pixels and constants of `expand`.
    """
    first, now, first_later, later = places
    operands, sources, pixels, constants = parts
    between, kept = operands
    weight, residual, output = sources
    SLOTS: gl.constexpr = TILE.stages
    upcoming = ()
    for i in gl.static_range(EARLY):
        total = warpgroup_mma_wait(num_outstanding=0, deps=(begun,))  # two at a time would be serialized
        if BEHIND:
            turn(first + i, kept, weight, SHAPE, TILE)
            if i < PRODUCTS:
                begun = product(between, kept, zero, (first + i + 1) % SLOTS + zero, SHAPE, TILE)
        finish(total, others[i], constants, output, (now, (first + i) * TILE.block_n), pixels, SHAPE, TILE)
        upcoming += (load_residual(residual, later, (first_later + i) * TILE.block_n, pixels, SHAPE, TILE),)  # type: ignore[assignment]
        if not BEHIND:
            turn(first + i, kept, weight, SHAPE, TILE)
            if i < PRODUCTS:
                begun = product(between, kept, zero, (first + i + 1) % SLOTS + zero, SHAPE, TILE)
    return begun, upcoming


@gluon.jit
def expand(
    begun,
    others,
    zero,
    now,
    following,
    operands,
    sources,
    pixels,
    constants,
    SHAPE: gl.constexpr,
    TILE: gl.constexpr,
    EARLY: gl.constexpr,
    BEHIND: gl.constexpr,
):
    """The second product of the tile that begins at pixel `now`, and its end, group by group of channels.

    `begun` is the product of the first group, `others` are the residuals of the first EARLY groups; returned
    are those of the tile at pixel `following`. `operands` are what lies between and weights in shared memory,
    `sources` are weights, residual and output. `zero` is 0, unknown to the compiler.
    """
    GROUPS: gl.constexpr = SHAPE.out_channels // TILE.block_n
    parts = (operands, sources, pixels, constants)
    for first in range(0, GROUPS - EARLY, EARLY):
        places = (first, now, first + EARLY, now)
        begun, others = finish_groups(begun, others, zero, places, parts, SHAPE, TILE, EARLY, BEHIND, EARLY)
    places = (GROUPS - EARLY, now, 0, following)
    begun, others = finish_groups(begun, others, zero, places, parts, SHAPE, TILE, EARLY, BEHIND, EARLY - 1)
    return others
