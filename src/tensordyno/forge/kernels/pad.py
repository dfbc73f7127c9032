"""Zeros around an image."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.graph import Array
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import block_choices, block_grid
from tensordyno.forge.kernels.conversions import as_real, as_stored, reciprocal_of, scale_of
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
    COLUMNS: tl.constexpr = (CHANNELS + BLOCK_CHANNELS - 1) // BLOCK_CHANNELS
    block = tl.program_id(0)
    pixel = (block // COLUMNS) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)[:, None]
    channel = (block % COLUMNS) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)[None, :]
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


class Pad(Kernel):
    """Pad between any formats and scales."""

    name = "pad"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Any Pad."""
        return isinstance(operation.node, graph.Pad)

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """(pixels, channels, warps) of a block."""
        return block_choices(operation.output, batch_size)

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """None."""
        return {}

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
        return Launch(
            function=pad,
            grid=block_grid(output, batch_size, choice),
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
                "COPIES": (image.format, image.scale) == (output.format, output.scale),
                "ASSEMBLY": target.has_assembly,
                "BLOCK_PIXELS": choice[0],
                "BLOCK_CHANNELS": choice[1],
            },
            num_warps=choice[2],
        )


KERNELS: tuple[Kernel, ...] = (Pad(),)
