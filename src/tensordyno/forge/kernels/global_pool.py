"""The mean of all pixels of each channel: an exact integer sum, or a float32 one, times one factor."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.conversions import as_float, as_stored
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.kernels.means import mean_factors, mean_reciprocal
from tensordyno.forge.program import Operation

_LARGEST_IMAGE = 2**31 // 256  # pixels whose sum fits int32, whatever the bytes are


@triton.jit
def global_pool(
    image,
    output,
    factor,
    reciprocal,
    CHANNELS: tl.constexpr,
    PIXELS: tl.constexpr,
    PITCH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """The means of BLOCK_CHANNELS channels of one image.

    image (batch, PIXELS, CHANNELS) of pitch PITCH, output (batch, CHANNELS) of pitch OUT_PITCH, any formats.
    """
    wait_for_previous()
    SUM: tl.constexpr = tl.int32 if image.dtype.element_ty.is_int() else tl.float32
    COLUMNS: tl.constexpr = (CHANNELS + BLOCK_CHANNELS - 1) // BLOCK_CHANNELS
    index = tl.program_id(0) // COLUMNS
    channel = (tl.program_id(0) % COLUMNS) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    is_channel = channel < CHANNELS
    total = tl.zeros((BLOCK_PIXELS, BLOCK_CHANNELS), SUM)
    for first in range(0, PIXELS, BLOCK_PIXELS):
        pixel = first + tl.arange(0, BLOCK_PIXELS)[:, None]
        place = (index * PIXELS + pixel) * PITCH + channel[None, :]
        stored = tl.load(image + place, mask=(pixel < PIXELS) & is_channel[None, :], other=0)
        if tl.int32 == SUM:
            total += stored.to(tl.int32)
        else:
            total += as_float(stored, ASSEMBLY)
    mean = tl.sum(total, axis=0).to(tl.float32) * factor
    made = as_stored(mean, reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + index * OUT_PITCH + channel, made, mask=is_channel)


class GlobalPool(Kernel):
    """GlobalAveragePool, and an AveragePool whose only window is the image."""

    name = "global_pool"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Any formats and scales; images of up to 8 million pixels."""
        node, image = operation.node, operation.inputs[0]
        is_global = isinstance(node, graph.GlobalAveragePool) or (
            isinstance(node, graph.AveragePool)
            and node.kernel == (image.height, image.width)
            and not any(node.pads)
        )
        return is_global and operation.output.pixels == 1 and image.pixels < _LARGEST_IMAGE

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """(pixels, channels, warps) of a block."""
        image = operation.inputs[0]
        wide = triton.next_power_of_2(image.channels)
        pixels = triton.next_power_of_2(image.pixels)
        sizes = ((16, 128, 4), (8, 256, 4), (32, 64, 4), (64, 128, 8))
        found = [(min(rows, pixels), min(columns, wide), warps) for rows, columns, warps in sizes]
        return tuple(dict.fromkeys(found))

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
        """A program for some channels of each image."""
        (image,), output = operation.inputs, operation.output
        return Launch(
            function=global_pool,
            grid=(batch_size * triton.cdiv(image.channels, choice[1]),),
            arguments={
                "image": tensors(image),
                "output": tensors(output),
                "factor": float(mean_factors(image.pixels, image, output)),
                "reciprocal": mean_reciprocal(image, output),
            },
            constants={
                "CHANNELS": image.channels,
                "PIXELS": image.pixels,
                "PITCH": image.pitch,
                "OUT_PITCH": output.pitch,
                "ASSEMBLY": target.has_assembly,
                "BLOCK_PIXELS": choice[0],
                "BLOCK_CHANNELS": choice[1],
            },
            num_warps=choice[2],
        )


KERNELS: tuple[Kernel, ...] = (GlobalPool(),)
