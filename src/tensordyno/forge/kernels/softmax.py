"""Softmax over the features of an image, or its logarithm."""

from collections.abc import Mapping
from typing import Any

import triton
import triton.language as tl

from tensordyno.forge import graph
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.conversions import as_real, as_stored, reciprocal_of, scale_of
from tensordyno.forge.kernels.early_start import wait_for_previous
from tensordyno.forge.program import Operation

_MOST_FEATURES = 2**15  # 64 registers a thread of 16 warps


@triton.jit
def softmax(
    image,
    output,
    scale,
    reciprocal,
    CHANNELS: tl.constexpr,
    PITCH: tl.constexpr,
    OUT_PITCH: tl.constexpr,
    LOG: tl.constexpr,
    ASSEMBLY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One image of exp(image) / sum of exp(image), or the logarithm of it.

    image and output (batch, CHANNELS), each with its pitch, format and scale; computed in float32. BLOCK is a
    power of two, CHANNELS at least.
    """
    wait_for_previous()
    index = tl.program_id(0)
    channel = tl.arange(0, BLOCK)
    is_channel = channel < CHANNELS
    real = as_real(tl.load(image + index * PITCH + channel, mask=is_channel), scale, ASSEMBLY)
    real = tl.where(is_channel, real, float("-inf"))
    real -= tl.max(real, axis=0)
    if LOG:
        # log(1 + the others), of few digits where they are small, is what the largest feature becomes
        others = tl.sum(tl.where(channel == tl.argmax(real, axis=0), 0.0, tl.exp(real)), axis=0)
        made = real - _log_of_one_more(others)
    else:
        powers = tl.exp(real)
        made = powers / tl.sum(powers, axis=0)
    stored = as_stored(made, reciprocal, output.dtype.element_ty, ASSEMBLY)
    tl.store(output + index * OUT_PITCH + channel, stored, mask=is_channel)


@triton.jit
def _log_of_one_more(number):
    """log(1 + number) of a float32 scalar >= 0, within some units of the last place.

    What rounding 1 + number loses is made up for by the slope (Goldberg, What every computer scientist should
    know about floating-point arithmetic, theorem 4).
    """
    total = 1.0 + number
    gained = total - 1.0
    return tl.where(gained == 0.0, number, tl.log(total) * (number / tl.where(gained == 0.0, 1.0, gained)))


class Softmax(Kernel):
    """Softmax of up to 32,768 features between any formats and scales, within 1e-5 of each value."""

    name = "softmax"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Features, not images."""
        image = operation.inputs[0]
        return (
            isinstance(operation.node, graph.Softmax)
            and image.pixels == 1
            and image.channels <= _MOST_FEATURES
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """(warps,) of a program, which has one image."""
        block = triton.next_power_of_2(operation.output.channels)
        return tuple((warps,) for warps in (4, 8, 16) if block <= 2048 * warps)[:2]

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
        """A program for each image."""
        node, (image,), output = operation.node, operation.inputs, operation.output
        assert isinstance(node, graph.Softmax)
        return Launch(
            function=softmax,
            grid=(batch_size,),
            arguments={
                "image": tensors(image),
                "output": tensors(output),
                "scale": scale_of(image),
                "reciprocal": reciprocal_of(output),
            },
            constants={
                "CHANNELS": output.channels,
                "PITCH": image.pitch,
                "OUT_PITCH": output.pitch,
                "LOG": node.log,
                "ASSEMBLY": target.has_assembly,
                "BLOCK": triton.next_power_of_2(output.channels),
            },
            num_warps=choice[0],
        )


KERNELS: tuple[Kernel, ...] = (Softmax(),)
