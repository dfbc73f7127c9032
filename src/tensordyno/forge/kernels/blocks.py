"""How an image is cut into blocks of pixels x channels, one a program, for kernels without a matrix product.

A choice is (pixels, channels, warps), the first two powers of two. Channels are contiguous: a block as
wide as 16 bytes or more reads and writes whole vectors, and neighbouring threads neighbouring vectors.
"""

from triton import cdiv, next_power_of_2

from tensordyno.forge.kernels.base import Choice
from tensordyno.forge.program import CHANNEL_GRAIN, View

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


def _exact_width(channels: int) -> int:
    """The widest block that leaves no lanes idle but those of the padding."""
    padded = -(-channels // CHANNEL_GRAIN) * CHANNEL_GRAIN
    return min(padded & -padded, _WIDEST)
