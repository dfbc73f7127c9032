"""How images enter a program: float32, channels first, become its input view."""

from typing import Any

import triton
import triton.language as tl

from tensordyno.forge.kernels.base import Launch, Target, Tensors
from tensordyno.forge.kernels.conversions import as_stored, reciprocal_of
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.program import View

_BLOCK_PIXELS = 1024


@triton.jit
def enter(
    images,
    output,
    reciprocal,
    PIXELS: tl.constexpr,  # of one image
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK_PIXELS: tl.constexpr,
):
    """BLOCK_PIXELS pixels of one image: integers of a scale, or real numbers rounded once.

    images (batch, CHANNELS, PIXELS) float32, contiguous; output (batch, PIXELS, CHANNELS) of pitch PITCH, any
    format. Each thread has neighbouring pixels, so that reads are whole vectors; writes meet in the cache.
    """
    wait_for_previous()
    BLOCKS: tl.constexpr = (PIXELS + BLOCK_PIXELS - 1) // BLOCK_PIXELS
    index = tl.program_id(0) // BLOCKS
    pixel = (tl.program_id(0) % BLOCKS) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)
    for channel in tl.static_range(CHANNELS):
        real = tl.load(images + (index * CHANNELS + channel) * PIXELS + pixel, mask=pixel < PIXELS)
        made = as_stored(real, reciprocal, output.dtype.element_ty, ASSEMBLY)
        tl.store(output + (index * PIXELS + pixel) * PITCH + channel, made, mask=pixel < PIXELS)


def enter_launch(images: Any, view: View, batch_size: int, tensors: Tensors, target: Target) -> Launch:
    """How `images`, a contiguous float32 tensor (batch, channels, height, width), become `view`.

    Rounds as graph.Quantize does.
    """
    return Launch(
        function=enter,
        grid=(batch_size * triton.cdiv(view.pixels, _BLOCK_PIXELS),),
        arguments={"images": images, "output": tensors(view), "reciprocal": reciprocal_of(view)},
        constants={
            "PIXELS": view.pixels,
            "CHANNELS": view.channels,
            "PITCH": view.pitch,
            "ASSEMBLY": target.has_assembly,
            "BLOCK_PIXELS": _BLOCK_PIXELS,
        },
    )
