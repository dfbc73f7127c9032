"""Local response normalisation: each channel over a power of what its neighbours hold."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import BlockKernel, block_launch, block_place
from tensordyno.forge.kernels.conversions import as_real, as_stored, reciprocal_of, scale_of
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.program import Operation


@triton.jit(do_not_specialize=["pixels"])
def normalise(
    image,
    output,
    pixels,  # of all images
    scale,
    reciprocal,
    bias,
    weight,  # of the sum of squares: alpha / size
    beta,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    SIZE: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """One block of image / (bias + weight * sum of squares of SIZE neighbouring channels) ** beta.

    image and output (pixels, CHANNELS), each with its pitch, format and scale; computed in float32. Channels
    outside the image count as zeros. Neighbours are loaded again, from the first-level cache.
    """
    wait_for_previous()
    pixel, channel = block_place(CHANNELS, BLOCK_PIXELS, BLOCK_CHANNELS)
    is_pixel = pixel < pixels
    inside = is_pixel & (channel < CHANNELS)
    squares = tl.zeros((BLOCK_PIXELS, BLOCK_CHANNELS), tl.float32)
    for step in tl.static_range(SIZE):
        neighbour = channel + step - (SIZE - 1) // 2
        is_channel = (neighbour >= 0) & (neighbour < CHANNELS)
        stored = tl.load(image + pixel * PITCH + neighbour, mask=is_pixel & is_channel, other=0)
        value = as_real(stored, scale, ASSEMBLY)
        squares += value * value
    value = as_real(tl.load(image + pixel * PITCH + channel, mask=inside), scale, ASSEMBLY)
    value *= tl.exp2(-beta * tl.log2(bias + weight * squares))
    made = as_stored(value, reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + pixel * OUT_PITCH + channel, made, mask=inside)


class Normalise(BlockKernel):
    """LocalResponseNorm between any formats and scales, within 1e-5 of each value before it is stored."""

    name = "normalise"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Any LocalResponseNorm."""
        return isinstance(operation.node, graph.LocalResponseNorm)

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
        assert isinstance(node, graph.LocalResponseNorm)
        return block_launch(
            normalise,
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
                "bias": float(node.bias),
                "weight": float(node.alpha / node.size),
                "beta": float(node.beta),
            },
            constants={
                "CHANNELS": output.channels,
                "PITCH": image.pitch,
                "OUT_PITCH": output.pitch,
                "SIZE": node.size,
            },
        )


KERNELS: tuple[Kernel, ...] = (Normalise(),)
