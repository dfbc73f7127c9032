"""A residual network's stem on Hopper, convolution and max-pool in one, of int8 (gluon_stem.py)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tensordyno.forge.graph import Array, ConvolutionMaxPool
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution_weights import tensor_of
from tensordyno.forge.kernels.gluon_layout import StemShape, Tile
from tensordyno.forge.kernels.gluon_stem import pack_blocks, stem
from tensordyno.forge.kernels.hopper_convolution import clamps_of
from tensordyno.forge.kernels.hopper_programs import MULTIPROCESSORS, REGISTERS
from tensordyno.forge.kernels.reference_folded import Epilogue, fold
from tensordyno.forge.passes.fuse_stem import is_stem
from tensordyno.forge.program import Format, Operation, View

BLOCK_CHANNELS = 16  # of 2 x 2 pixels
_PACKED_AT_ONCE = 512  # blocks of a program
_RING = 7  # rows of blocks: five in use, two on their way
_BANDS = (28, 14, 8, 7, 4, 2, 1)  # rows of the result of a program
_WARPS = (8, 4)  # two programs share a multiprocessor


class HopperStem(Kernel):
    """7 x 7 by steps of 2 and 3 x 3 maxima by steps of 2, int8 from 3 to 64 channels, by two kernels.

    The first puts blocks of pixels side by side, into scratch memory. A choice is (rows of the result,
    warps). Results are maxima of what reference_folded.py says, bit for bit.
    """

    name: ClassVar[str] = "hopper_stem"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; the image lies without padding, the result in whole 16-byte accesses."""
        node = operation.node
        if target.interpreted or target.capability[0] != 9 or not isinstance(node, ConvolutionMaxPool):
            return False
        image, output = operation.inputs[0], operation.output
        whole = (image.pitch, image.first) == (3, 0) and output.pitch % 16 == 0 and output.first % 16 == 0
        integers = image.format is Format.INT8 and output.format is Format.INT8 and output.scale is not None
        return whole and integers and is_stem(node.convolution, node.pool, tensor_of(image))

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tall bands where there are images enough for all multiprocessors: each computes one row twice."""
        del target
        return tuple((band, warps) for warps in _WARPS for band in bands_of(operation, batch_size))

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight` (64, 4, 4, 16) int8, blocks of 2 x 2; `scale` and `bias` (64,) float32, folded."""
        node, epilogue = _node(operation), _epilogue(operation)
        weight = weight_over_blocks(node.convolution.weight)
        return {"weight": weight, "scale": epilogue.factor, "bias": epilogue.bias}

    def scratch_bytes(self, operation: Operation, choice: Choice, batch_size: int) -> int:
        """The image in blocks."""
        del choice
        return batch_size * operation.inputs[0].pixels // 4 * BLOCK_CHANNELS

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
        """The stem, and the packing before it."""
        del target
        band, warps = choice
        epilogue = _epilogue(operation)
        shape = shape_of(operation, clamps_of(epilogue))
        packed = scratch[: self.scratch_bytes(operation, choice, batch_size)]
        bands = -(-shape.out_height // band)
        return Launch(
            function=stem,
            grid=(batch_size * bands * shape.columns,),
            arguments={
                "image": packed.view(_torch().int8),
                **weights,
                "output": tensors(operation.output),
                "low": float(epilogue.low),
                "high": float(epilogue.high),
                "band": band,
            },
            constants={
                "SHAPE": shape,
                "TILE": Tile(block_m=128, block_n=64, block_k=64, warps=warps, stages=_RING),
                "maxnreg": min(255, REGISTERS // (2 * warps * 32)),
            },
            num_warps=warps,
            before=(pack_launch(tensors(operation.inputs[0]), packed, operation.inputs[0], batch_size),),
        )


def bands_of(operation: Operation, batch_size: int) -> tuple[int, ...]:
    """Rows of the result of a program, that are worth timing, each once."""
    rows = operation.output.height
    filling = [band for band in _BANDS if batch_size * -(-rows // band) >= 2 * MULTIPROCESSORS]
    return tuple(dict.fromkeys(min(band, rows) for band in filling[:4] or _BANDS[-3:]))


def weight_over_blocks(weight: Array) -> Array:
    """Weights (64, 3, 7, 7) as (64, 4, 4, 16) over blocks: their channels are those of 2 x 2 pixels."""
    grown = np.pad(weight, ((0, 0), (0, 0), (1, 0), (1, 0)))  # 8 x 8, zeros before
    apart = grown.reshape(64, 3, 4, 2, 4, 2).transpose(0, 2, 4, 3, 5, 1).reshape(64, 4, 4, 12)
    return np.ascontiguousarray(np.pad(apart, ((0, 0), (0, 0), (0, 0), (0, 4))))


def pack_launch(image: Any, packed: Any, view: View, batch_size: int) -> Launch:
    """How an image (batch, height, width, 3) without padding becomes blocks (batch, h / 2, w / 2, 16).

    Both are flat tensors on one device, of elements of one or two bytes and of uint8; height and width are
    even.
    """
    torch = _torch()
    words = torch.int16 if view.format.width_bytes == 1 else torch.int32  # of two elements
    blocks = batch_size * view.pixels // 4
    return Launch(
        function=pack_blocks,
        grid=(-(-blocks // _PACKED_AT_ONCE),),
        arguments={
            "image": image[: batch_size * view.pixels * 3].view(words),
            "packed": packed.view(words),
            "blocks": blocks,
        },
        constants={"ACROSS": view.width // 2, "BLOCK": _PACKED_AT_ONCE},
    )


def shape_of(operation: Operation, clamps: int) -> StemShape:
    """The stem, its results clamped as Shape.clamps says."""
    image, output = operation.inputs[0], operation.output
    return StemShape(
        height=image.height // 2,
        width=image.width // 2,
        out_height=output.height,
        out_width=output.width,
        out_pitch=output.pitch,
        clamps=clamps,
    )


def _epilogue(operation: Operation) -> Epilogue:
    """The folded constants of the convolution, in steps of the operation's output."""
    return fold(_node(operation).convolution, [tensor_of(operation.inputs[0])], tensor_of(operation.output))


def _node(operation: Operation) -> ConvolutionMaxPool:
    assert isinstance(operation.node, ConvolutionMaxPool)
    return operation.node


def _torch() -> Any:
    import torch

    return torch


KERNELS = (HopperStem,)
