"""Zeros around an image."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import BlockKernel, block_launch, block_place
from tensordyno.forge.kernels.conversions import as_real, as_stored, holds_alike, reciprocal_of, scale_of
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.program import Operation


@triton.jit(do_not_specialize=["pixels"])
def pad(
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
    TOP: tl.constexpr,
    LEFT: tl.constexpr,
    COPIES: tl.constexpr,  # bits go over as they are
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """One block of an image with zeros around.

    image (batch, HEIGHT, WIDTH, CHANNELS) of pitch PITCH, output (pixels, CHANNELS) of pitch OUT_PITCH, any
    formats and scales.
    """
    wait_for_previous()
    pixel, channel = block_place(CHANNELS, BLOCK_PIXELS, BLOCK_CHANNELS)
    inside = (pixel < pixels) & (channel < CHANNELS)
    index = pixel // (OUT_WIDTH * OUT_HEIGHT)
    y = pixel // OUT_WIDTH % OUT_HEIGHT - TOP
    x = pixel % OUT_WIDTH - LEFT
    is_image = (y >= 0) & (y < HEIGHT) & (x >= 0) & (x < WIDTH)
    place = ((index * HEIGHT + y) * WIDTH + x) * PITCH + channel
    made = tl.load(image + place, mask=inside & is_image, other=0)
    if not COPIES:
        made = as_stored(as_real(made, scale, ASSEMBLY), reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + pixel * OUT_PITCH + channel, made, mask=inside)


class Pad(BlockKernel):
    """Pad between any formats and scales."""

    name = "pad"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Any Pad."""
        return isinstance(operation.node, graph.Pad)

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
        assert isinstance(node, graph.Pad)
        return block_launch(
            pad,
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
                "CHANNELS": output.channels,
                "HEIGHT": image.height,
                "WIDTH": image.width,
                "PITCH": image.pitch,
                "OUT_HEIGHT": output.height,
                "OUT_WIDTH": output.width,
                "OUT_PITCH": output.pitch,
                "TOP": node.pads[0],
                "LEFT": node.pads[1],
                "COPIES": holds_alike(image, output),
            },
        )


KERNELS: tuple[Kernel, ...] = (Pad(),)
