"""The mean of each window: an exact sum of integers, or a float32 sum of real numbers, times one factor.

The factor of a window depends on how many pixels it counts, which differs along the edges: they are looked up
in a table by that number, so that its float32 is the one that the oracle computes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.graph import Array
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import BlockKernel, block_launch, block_place
from tensordyno.forge.kernels.conversions import as_float, as_stored
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.means import mean_factors, mean_reciprocal
from tensordyno.forge.kernels.windows import window_constants, window_corner
from tensordyno.forge.program import Operation


@triton.jit(do_not_specialize=["pixels"])
def average_pool(
    image,
    factors,
    output,
    pixels,  # of all outputs
    reciprocal,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PITCH: tl.constexpr,
    OUT_HEIGHT: tl.constexpr,
    OUT_WIDTH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PAD_TOP: tl.constexpr,
    PAD_LEFT: tl.constexpr,
    UNROLLED: tl.constexpr,
    FIRST_Y: tl.constexpr,  # the first row that counts, and the one behind the last
    LAST_Y: tl.constexpr,
    FIRST_X: tl.constexpr,
    LAST_X: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """One block of the means of windows.

    image (batch, HEIGHT, WIDTH, CHANNELS) of pitch PITCH, output (pixels, CHANNELS) of pitch OUT_PITCH, any
    formats. factors (KERNEL_H * KERNEL_W + 1,) float32: what a sum over that many pixels is multiplied by.
    """
    wait_for_previous()
    SUM: tl.constexpr = tl.int32 if image.dtype.element_ty.is_int() else tl.float32
    pixel, channel = block_place(CHANNELS, BLOCK_PIXELS, BLOCK_CHANNELS)
    inside = (pixel < pixels) & (channel < CHANNELS)
    index, top, left = window_corner(pixel, OUT_HEIGHT, OUT_WIDTH, STRIDE_H, STRIDE_W, PAD_TOP, PAD_LEFT)
    total = tl.zeros((BLOCK_PIXELS, BLOCK_CHANNELS), SUM)
    for row in tl.range(KERNEL_H, loop_unroll_factor=UNROLLED):
        for column in tl.static_range(KERNEL_W):
            y = top + row
            x = left + column
            is_image = (y >= 0) & (y < HEIGHT) & (x >= 0) & (x < WIDTH)
            place = ((index * HEIGHT + y) * WIDTH + x) * PITCH + channel
            stored = tl.load(image + place, mask=inside & is_image, other=0)
            if tl.int32 == SUM:
                total += stored.to(tl.int32)
            else:
                total += as_float(stored, ASSEMBLY)
    rows = tl.minimum(top + KERNEL_H, LAST_Y) - tl.maximum(top, FIRST_Y)
    columns = tl.minimum(left + KERNEL_W, LAST_X) - tl.maximum(left, FIRST_X)
    mean = total.to(tl.float32) * tl.load(factors + rows * columns)
    made = as_stored(mean, reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + pixel * OUT_PITCH + channel, made, mask=inside)


class AveragePool(BlockKernel):
    """AveragePool between any formats and scales."""

    name = "average_pool"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Where every window counts a pixel."""
        node = operation.node
        if not isinstance(node, graph.AveragePool):
            return False
        return all(pad < node.kernel[place % 2] for place, pad in enumerate(node.pads))

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`factors`, by the number of pixels counted."""
        node, (image,), output = operation.node, operation.inputs, operation.output
        assert isinstance(node, graph.AveragePool)
        counts = np.arange(node.kernel[0] * node.kernel[1] + 1, dtype=np.float64)
        counts[0] = 1  # no window counts none
        return {"factors": mean_factors(counts, image, output)}

    def launch(
        self,
        operation: Operation,
        choice: Choice,
        batch_size: int,
        tensors: Tensors,
        weights: Mapping[str, Any],
        target: Target,
        scratch: Any = None,
    ) -> Launch:
        """A program for each block of the output."""
        node, (image,), output = operation.node, operation.inputs, operation.output
        assert isinstance(node, graph.AveragePool)
        top, left, bottom, right = node.pads if node.count_pads else (0, 0, 0, 0)
        return block_launch(
            average_pool,
            output,
            choice,
            batch_size,
            target,
            arguments={
                "image": tensors(image),
                "factors": weights["factors"],
                "output": tensors(output),
                "pixels": batch_size * output.pixels,
                "reciprocal": mean_reciprocal(image, output),
            },
            constants={
                **window_constants(node, image, output),
                "FIRST_Y": -top,
                "LAST_Y": image.height + bottom,
                "FIRST_X": -left,
                "LAST_X": image.width + right,
            },
        )


KERNELS: tuple[Kernel, ...] = (AveragePool(),)
