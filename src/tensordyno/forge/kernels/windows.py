"""Where the windows of a pool lie: geometry that its kernels are compiled for."""

from typing import Any

import triton
import triton.language as tl

from tensordyno.forge.graph import AveragePool, MaxPool
from tensordyno.forge.program import View

_UNROLLED_TAPS = 25  # places of a window whose loads are all in flight together


def window_constants(node: MaxPool | AveragePool, image: View, output: View) -> dict[str, Any]:
    """The compile-time arguments that say where windows lie; what hangs over the image follows from them.

    "UNROLLED" is how many rows of a window are taken in one turn of the loop.
    """
    return {
        "CHANNELS": output.channels,
        "HEIGHT": image.height,
        "WIDTH": image.width,
        "PITCH": image.pitch,
        "OUT_HEIGHT": output.height,
        "OUT_WIDTH": output.width,
        "OUT_PITCH": output.pitch,
        "KERNEL_H": node.kernel[0],
        "KERNEL_W": node.kernel[1],
        "STRIDE_H": node.stride[0],
        "STRIDE_W": node.stride[1],
        "PAD_TOP": node.pads[0],
        "PAD_LEFT": node.pads[1],
        "UNROLLED": node.kernel[0] if node.kernel[0] * node.kernel[1] <= _UNROLLED_TAPS else 1,
    }


@triton.jit
def window_corner(
    pixel,
    OUT_HEIGHT: tl.constexpr,
    OUT_WIDTH: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PAD_TOP: tl.constexpr,
    PAD_LEFT: tl.constexpr,
):
    """Which image each output pixel belongs to, and the row and column at which its window begins.

    pixel and results: int32 of one shape. Rows and columns before the image are negative.
    """
    top = (pixel // OUT_WIDTH % OUT_HEIGHT) * STRIDE_H - PAD_TOP
    left = (pixel % OUT_WIDTH) * STRIDE_W - PAD_LEFT
    return pixel // (OUT_WIDTH * OUT_HEIGHT), top, left
