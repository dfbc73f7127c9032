"""What treats each number by itself: sums, clamps, affine maps, conversions of format and scale."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.graph import Array
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.blocks import BlockKernel, block_launch, block_place
from tensordyno.forge.kernels.conversions import as_real, as_stored, holds_alike, reciprocal_of, scale_of
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.program import Operation

_TAKEN = (graph.Add, graph.Activation, graph.Affine, graph.Concat, graph.Quantize, graph.Dequantize)


@triton.jit(do_not_specialize=["pixels"])
def elementwise(
    image,
    other,
    factor,
    offset,
    output,
    pixels,  # of all images
    scale,
    other_scale,
    reciprocal,
    low,
    high,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    OTHER_PITCH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    COPIES: tl.constexpr,  # bits go over as they are
    ADDS: tl.constexpr,
    MAPS: tl.constexpr,  # value * factor + offset
    CLAMPS: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """One block of output = clamp((image + other) * factor + offset), each step only where it is asked for.

    image, other and output (pixels, CHANNELS), each with its pitch, format and scale; factor and offset
    (CHANNELS,) float32. Computed in float32. What is not asked for is never read.
    """
    wait_for_previous()
    pixel, channel = block_place(CHANNELS, BLOCK_PIXELS, BLOCK_CHANNELS)
    inside = (pixel < pixels) & (channel < CHANNELS)
    stored = tl.load(image + pixel * PITCH + channel, mask=inside)
    if COPIES:
        tl.store(output + pixel * OUT_PITCH + channel, stored, mask=inside)
    else:
        value = as_real(stored, scale, ASSEMBLY)
        if ADDS:
            more = tl.load(other + pixel * OTHER_PITCH + channel, mask=inside)
            value += as_real(more, other_scale, ASSEMBLY)
        if MAPS:
            is_channel = channel < CHANNELS
            value *= tl.load(factor + channel, mask=is_channel)
            value += tl.load(offset + channel, mask=is_channel)
        if CLAMPS:
            value = tl.minimum(tl.maximum(value, low), high)
        made = as_stored(value, reciprocal, output.dtype.element_ty, ASSEMBLY)
        tl.store(output + pixel * OUT_PITCH + channel, made, mask=inside)


class Elementwise(BlockKernel):
    """Add, Activation, Affine, Quantize, Dequantize, and Concat of one input: a copy into its place."""

    name = "elementwise"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Any format and scale, between images of one shape."""
        shapes = {(view.height, view.width, view.channels) for view in (*operation.inputs, operation.output)}
        adds = isinstance(operation.node, graph.Add)
        return isinstance(operation.node, _TAKEN) and len(operation.inputs) == 1 + adds and len(shapes) == 1

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`factor` and `offset` of an affine map."""
        node = operation.node
        if not isinstance(node, graph.Affine):
            return {}
        return {"factor": node.factor.astype("float32"), "offset": node.offset.astype("float32")}

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
        node, output = operation.node, operation.output
        image, other = operation.inputs[0], operation.inputs[-1]
        clamp = getattr(node, "clamp", None)
        bounds = clamp or graph.Clamp()
        is_plain = not isinstance(node, graph.Add | graph.Affine) and clamp is None
        return block_launch(
            elementwise,
            output,
            choice,
            batch_size,
            target,
            arguments={
                "image": tensors(image),
                "other": tensors(other),
                "factor": weights.get("factor", tensors(image)),
                "offset": weights.get("offset", tensors(image)),
                "output": tensors(output),
                "pixels": batch_size * output.pixels,
                "scale": scale_of(image),
                "other_scale": scale_of(other),
                "reciprocal": reciprocal_of(output),
                "low": bounds.low,
                "high": bounds.high,
            },
            constants={
                "CHANNELS": output.channels,
                "PITCH": image.pitch,
                "OTHER_PITCH": other.pitch,
                "OUT_PITCH": output.pitch,
                "COPIES": is_plain and holds_alike(image, output),
                "ADDS": isinstance(node, graph.Add),
                "MAPS": isinstance(node, graph.Affine),
                "CLAMPS": clamp is not None,
            },
        )


KERNELS: tuple[Kernel, ...] = (Elementwise(),)
