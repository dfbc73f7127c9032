"""How an image is cut into blocks of pixels x channels, one a program, for kernels without a matrix product.

A choice is (pixels, channels, warps), the first two powers of two. Channels are contiguous: a block as
wide as 16 bytes or more reads and writes whole vectors, and neighbouring threads neighbouring vectors.
"""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl
from triton import cdiv, next_power_of_2

from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target
from tensordyno.forge.program import CHANNEL_GRAIN, Operation, View

_WIDEST = 256  # channels of a block
_ELEMENTS = ((4096, 4), (2048, 4), (8192, 8))  # of a block, and its warps


def block_choices(view: View, batch_size: int) -> tuple[Choice, ...]:
    """Two to four blocks for work on every element of `view`, the likely best first."""
    pixels = next_power_of_2(batch_size * view.pixels)
    wide = min(next_power_of_2(view.channels), _WIDEST)
    cut = ((elements, wide, warps) for elements, warps in _ELEMENTS)
    exact = (_ELEMENTS[0][0], _exact_width(view.channels), _ELEMENTS[0][1])
    found = [
        (min(max(elements // width, 1), pixels), width, warps) for elements, width, warps in (*cut, exact)
    ]
    return tuple(dict.fromkeys(found))


def block_grid(view: View, batch_size: int, choice: Choice) -> tuple[int]:
    """One program for each block; those of the same pixels are neighbours."""
    return (cdiv(batch_size * view.pixels, choice[0]) * cdiv(view.channels, choice[1]),)


class BlockKernel(Kernel):
    """A kernel of which each program has one block of the output."""

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """(pixels, channels, warps) of a block."""
        return block_choices(operation.output, batch_size)


def block_launch(
    function: Any,
    output: View,
    choice: Choice,
    batch_size: int,
    target: Target,
    arguments: Mapping[str, Any],
    constants: Mapping[str, Any],
) -> Launch:
    """A program for each block of `output`; `constants` lack only what every such function takes last."""
    shared = {"ASSEMBLY": target.has_assembly, "BLOCK_PIXELS": choice[0], "BLOCK_CHANNELS": choice[1]}
    return Launch(
        function=function,
        grid=block_grid(output, batch_size, choice),
        arguments=arguments,
        constants={**constants, **shared},
        num_warps=choice[2],
    )


@triton.jit
def block_place(CHANNELS: tl.constexpr, BLOCK_PIXELS: tl.constexpr, BLOCK_CHANNELS: tl.constexpr):
    """Pixels (BLOCK_PIXELS, 1) and channels (1, BLOCK_CHANNELS) of this program's block of `block_grid`."""
    COLUMNS: tl.constexpr = (CHANNELS + BLOCK_CHANNELS - 1) // BLOCK_CHANNELS
    block = tl.program_id(0)
    pixel = (block // COLUMNS) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)[:, None]
    channel = (block % COLUMNS) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)[None, :]
    return pixel, channel


def _exact_width(channels: int) -> int:
    """The widest block that leaves no lanes idle but those of the padding."""
    padded = -(-channels // CHANNEL_GRAIN) * CHANNEL_GRAIN
    return min(padded & -padded, _WIDEST)
