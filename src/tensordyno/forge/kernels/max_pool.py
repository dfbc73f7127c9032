"""The maximum of each window, of integers as integers.

A pixel outside the image is replaced by the nearest inside, which the window sees anyway: the maximum stays,
and no load depends on where the window lies. A window that sees no pixel at all would be wrong; padding
narrower than the kernel never makes one.
"""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import BlockKernel, block_launch, block_place
from tensordyno.forge.kernels.conversions import (
    as_float,
    as_real,
    as_stored,
    holds_alike,
    reciprocal_of,
    scale_of,
)
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.packed_maximum import can_pack, packed_maximum, packed_start, unpacked
from tensordyno.forge.kernels.windows import window_constants, window_corner
from tensordyno.forge.program import Format, Operation

_LOWEST = {Format.INT8: -128, Format.UINT8: 0}


@triton.jit(do_not_specialize=["pixels"])
def max_pool(
    image,
    output,
    pixels,  # of all outputs
    scale,
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
    LOWEST: tl.constexpr,  # number of the image's format
    KEEPS: tl.constexpr,  # the output has the format and the scale of the image
    PACKED: tl.constexpr,  # four integers an instruction or two (packed_maximum.py)
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """One block of the maxima of windows.

    image (batch, HEIGHT, WIDTH, CHANNELS) of pitch PITCH, output (pixels, CHANNELS) of pitch OUT_PITCH, any
    formats. Where scales differ the maximum is converted as a real number.
    """
    wait_for_previous()
    pixel, channel = block_place(CHANNELS, BLOCK_PIXELS, BLOCK_CHANNELS)
    inside = (pixel < pixels) & (channel < CHANNELS)
    index, top, left = window_corner(pixel, OUT_HEIGHT, OUT_WIDTH, STRIDE_H, STRIDE_W, PAD_TOP, PAD_LEFT)
    FORMAT: tl.constexpr = image.dtype.element_ty
    if PACKED:
        best = packed_start(BLOCK_PIXELS, BLOCK_CHANNELS, LOWEST)
    elif tl.bfloat16 == FORMAT:
        best = tl.full((BLOCK_PIXELS, BLOCK_CHANNELS), LOWEST, tl.float32)
    else:
        best = tl.full((BLOCK_PIXELS, BLOCK_CHANNELS), LOWEST, FORMAT)
    for row in tl.range(KERNEL_H, loop_unroll_factor=UNROLLED):
        for column in tl.static_range(KERNEL_W):
            seen = _load(
                image, index, top + row, left + column, channel, inside, HEIGHT, WIDTH, PITCH, ASSEMBLY
            )
            best = packed_maximum(best, seen) if PACKED else tl.maximum(best, seen)
    if PACKED:
        best = unpacked(best).to(FORMAT, bitcast=True)
    if KEEPS and best.dtype == output.dtype.element_ty:
        made = best
    else:
        made = as_stored(as_real(best, scale, ASSEMBLY), reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + pixel * OUT_PITCH + channel, made, mask=inside)


@triton.jit
def _load(
    image,
    index,
    y,
    x,
    channel,
    inside,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PITCH: tl.constexpr,
    ASSEMBLY: tl.constexpr,
):
    """The pixels nearest to (y, x), (BLOCK_PIXELS, BLOCK_CHANNELS), as stored; undefined where not `inside`.

    bfloat16 becomes float32, in which Triton compares it.
    """
    nearest_y = tl.minimum(tl.maximum(y, 0), HEIGHT - 1)
    nearest_x = tl.minimum(tl.maximum(x, 0), WIDTH - 1)
    place = ((index * HEIGHT + nearest_y) * WIDTH + nearest_x) * PITCH + channel
    stored = tl.load(image + place, mask=inside)
    return as_float(stored, ASSEMBLY) if stored.dtype == tl.bfloat16 else stored


class MaxPool(BlockKernel):
    """MaxPool between any formats and scales."""

    name = "max_pool"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Where every window sees a pixel."""
        node = operation.node
        if not isinstance(node, graph.MaxPool):
            return False
        return all(pad < node.kernel[place % 2] for place, pad in enumerate(node.pads))

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
        assert isinstance(node, graph.MaxPool)
        return block_launch(
            max_pool,
            output,
            choice,
            batch_size,
            target,
            arguments={
                "image": tensors(image),
                "output": tensors(output),
                "pixels": batch_size * output.pixels,
                "scale": scale_of(image),
                "reciprocal": reciprocal_of(output),
            },
            constants={
                **window_constants(node, image, output),
                "LOWEST": _LOWEST.get(image.format, float("-inf")),
                "KEEPS": holds_alike(image, output),
                "PACKED": can_pack(image, output, target),
            },
        )


KERNELS: tuple[Kernel, ...] = (MaxPool(),)
