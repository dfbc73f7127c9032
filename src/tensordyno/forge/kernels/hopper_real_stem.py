"""A network's first convolution on Hopper, of fp16 or bf16: its channels are made four (four_channels.py)."""

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from typing import Any, ClassVar

import numpy as np
from triton import cdiv, next_power_of_2

from tensordyno.forge.graph import Array, Convolution
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution import clamp_kind
from tensordyno.forge.kernels.convolution_shape import shape_of as product_shape_of
from tensordyno.forge.kernels.convolution_weights import product_arrays
from tensordyno.forge.kernels.four_channels import CHANNELS, four_channels
from tensordyno.forge.kernels.gluon_layout import Shape
from tensordyno.forge.kernels.gluon_windows import LONGEST_WINDOW
from tensordyno.forge.kernels.hopper_convolution import shape_of
from tensordyno.forge.kernels.hopper_real import FORMATS, WIDTH_BYTES, is_wide, product_launch
from tensordyno.forge.program import Operation

_PACKED_AT_ONCE = 1024  # pixels of a program
# BLOCK_M, warps, stages, cached; most likely best first
_TILES = (
    *((128, 4, 4, 1), (128, 4, 4, 0), (256, 8, 4, 1), (256, 8, 4, 0), (64, 4, 4, 1), (64, 4, 4, 0)),
    *((128, 4, 7, 1), (128, 4, 3, 1), (128, 4, 7, 0), (64, 4, 7, 1)),
)


class HopperRealStem(Kernel):
    """A convolution of up to four channels by even steps, fp16 or bf16, by two kernels.

    The first writes the image with four channels a pixel and zeros beside each line into scratch memory. To
    the second a row of the window is one run of 16, 32 or 64 such numbers, which begins at a 16-byte place:
    it computes a convolution as high as the window and one pixel wide, over pixels that overlap. A choice is
    one of HopperReal.
    """

    name: ClassVar[str] = "hopper_real_stem"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; results in whole 16-byte accesses, channels of the result by 32."""
        node = operation.node
        if target.interpreted or target.capability[0] != 9 or not isinstance(node, Convolution):
            return False
        out_channels, channels, *kernel = node.weight.shape
        image, output, format = operation.inputs[0], operation.output, FORMATS.get(operation.precision)
        return (
            format is not None
            and image.format is format
            and is_wide(output, format)
            and (node.groups, node.dilation, node.has_residual) == (1, (1, 1), False)
            and channels <= CHANNELS
            and max(kernel) <= LONGEST_WINDOW
            and node.stride[1] % 2 == 0
            and out_channels % 32 == 0
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """A slice is a row of the window, and there are no more stages than rows."""
        del batch_size, target
        node = _node(operation)
        columns = gcd(len(node.weight), 64)
        deepest = max(2, node.weight.shape[2])
        return tuple(
            dict.fromkeys(
                (rows, columns, _run(node), warps, min(stages, deepest), 0, 0, cached)
                for rows, warps, stages, cached in _TILES
            )
        )

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight` (out, kernel height, run), bf16 as its bits; `bias` (out,) float32."""
        node = _node(operation)
        _, channels, _, kernel_w = node.weight.shape
        beside = _run(node) // CHANNELS - kernel_w
        weight = np.pad(node.weight, ((0, 0), (0, CHANNELS - channels), (0, 0), (0, beside)))
        image = replace(operation.inputs[0], channels=CHANNELS)
        grown = replace(operation, node=replace(node, weight=weight), inputs=(image,))
        return product_arrays(grown, product_shape_of(grown))

    def scratch_bytes(self, operation: Operation, choice: Choice, batch_size: int) -> int:
        """The image with four channels a pixel."""
        del choice
        return batch_size * operation.inputs[0].height * _across(operation) * CHANNELS * WIDTH_BYTES

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
        """The convolution, and before it the one that makes four channels."""
        del target
        image = tensors(operation.inputs[0])
        packed = scratch[: self.scratch_bytes(operation, choice, batch_size)].view(image.dtype)
        launch = product_launch(operation, choice, batch_size, _shape(operation), packed, tensors, weights)
        return replace(launch, before=(pack_launch(operation, batch_size, image, packed),))


def pack_launch(operation: Operation, batch_size: int, image: Any, packed: Any) -> Launch:
    """How the operation's image becomes one of `_across` pixels a line, four channels each; flat tensors."""
    view = operation.inputs[0]
    pixels = batch_size * view.height * _across(operation)
    return Launch(
        function=four_channels,
        grid=(cdiv(pixels, _PACKED_AT_ONCE),),
        arguments={"image": image, "packed": packed, "pixels": pixels},
        constants={
            "WIDTH": view.width,
            "PITCH": view.pitch,
            "READ": view.channels,
            "LEFT": _node(operation).pads[1],
            "ACROSS": _across(operation),
            "BLOCK": _PACKED_AT_ONCE,
        },
    )


def _run(node: Convolution) -> int:
    """Numbers of a row of the window, the zeros of its weights too: as many as a slice of a product has."""
    return CHANNELS * max(4, int(next_power_of_2(node.weight.shape[3])))


def _across(operation: Operation) -> int:
    """Pixels of a packed line: all that the last run reaches, whole steps."""
    node = _node(operation)
    step = node.stride[1]
    reached = (operation.output.width - 1) * step + _run(node) // CHANNELS
    return -(-reached // step) * step


def _shape(operation: Operation) -> Shape:
    """The convolution over packed lines: a pixel is what lies a step from the next one."""
    node = _node(operation)
    return replace(
        shape_of(operation, clamp_kind(operation)),
        width=_across(operation) // node.stride[1],
        channels=_run(node),
        pitch=node.stride[1] * CHANNELS,
        kernel_w=1,
        stride_w=1,
        pad_left=0,
        is_padded=node.pads[0] > 0 or node.pads[2] > 0,
    )


def _node(operation: Operation) -> Convolution:
    assert isinstance(operation.node, Convolution)
    return operation.node


KERNELS = (HopperRealStem,)
