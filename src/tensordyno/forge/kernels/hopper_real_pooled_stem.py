"""A residual network's stem on Hopper, convolution and max-pool in one, of fp16 or bf16 (gluon_stem.py)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tensordyno.forge.graph import Array, Convolution, ConvolutionMaxPool
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.convolution import clamp_kind, typed
from tensordyno.forge.kernels.convolution_shape import shape_of as product_shape_of
from tensordyno.forge.kernels.convolution_weights import epilogue_of, product_arrays, tensor_of
from tensordyno.forge.kernels.gluon_layout import Tile
from tensordyno.forge.kernels.gluon_stem import stem
from tensordyno.forge.kernels.hopper_programs import registers_of
from tensordyno.forge.kernels.hopper_real import FORMATS, WIDTH_BYTES, is_wide
from tensordyno.forge.kernels.hopper_stem import (
    BLOCK_CHANNELS,
    bands_of,
    pack_launch,
    shape_of,
    weight_over_blocks,
)
from tensordyno.forge.passes.fuse_stem import is_stem
from tensordyno.forge.program import Operation

# Warps, rows of blocks in the ring, programs of a multiprocessor: two have room for the rows in use only
_PROGRAMS = ((8, 5, 2), (4, 5, 2), (8, 7, 1))


class HopperRealPooledStem(Kernel):
    """7 x 7 by steps of 2 and 3 x 3 maxima by steps of 2, fp16 or bf16 from 3 to 64 channels, by two kernels.

    The first puts blocks of pixels side by side, into scratch memory. A choice is (rows of the result, warps,
    rows of blocks in the ring, programs of a multiprocessor).
    """

    name: ClassVar[str] = "hopper_real_pooled_stem"

    def takes(self, operation: Operation, target: Target) -> bool:
        """See the class; the image lies without padding, the result in whole 16-byte accesses."""
        node, format = operation.node, FORMATS.get(operation.precision)
        if target.interpreted or target.capability[0] != 9 or not isinstance(node, ConvolutionMaxPool):
            return False
        image = operation.inputs[0]
        return (
            format is not None
            and image.format is format
            and (image.pitch, image.first) == (3, 0)
            and is_wide(operation.output, format)
            and is_stem(node.convolution, node.pool, tensor_of(image))
        )

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Tall bands where there are images enough for all multiprocessors: each computes one row twice."""
        del target
        bands = bands_of(operation, batch_size)
        return tuple((band, *programs) for programs in _PROGRAMS for band in bands)

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight` (1, 64, 256), blocks of 2 x 2 as 4 x 4 x 16, bf16 as its bits; `bias` (64,) float32."""
        node = _convolution(operation)
        node = replace(node, weight=weight_over_blocks(node.weight).transpose(0, 3, 1, 2))
        image = replace(operation.inputs[0], channels=BLOCK_CHANNELS)
        grown = replace(operation, node=node, inputs=(image,))
        return product_arrays(grown, product_shape_of(grown))

    def scratch_bytes(self, operation: Operation, choice: Choice, batch_size: int) -> int:
        """The image in blocks."""
        del choice
        return batch_size * operation.inputs[0].pixels // 4 * BLOCK_CHANNELS * WIDTH_BYTES

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
        band, warps, ring, programs = choice
        product = replace(operation, node=_convolution(operation))
        shape, epilogue = shape_of(operation, clamp_kind(product)), epilogue_of(product)
        placed = typed(weights, operation.precision)
        image = tensors(operation.inputs[0])
        packed = scratch[: self.scratch_bytes(operation, choice, batch_size)]
        bands = -(-shape.out_height // band)
        tile = Tile(block_m=128, block_n=64, block_k=64, warps=warps, stages=ring, width=WIDTH_BYTES)
        return Launch(
            function=stem,
            grid=(batch_size * bands * shape.columns,),
            arguments={
                "image": packed.view(image.dtype),
                "weight": placed["weight"],
                "scale": None,
                "bias": placed["bias"],
                "output": tensors(operation.output),
                "low": float(epilogue.low),
                "high": float(epilogue.high),
                "band": band,
            },
            constants={"SHAPE": shape, "TILE": tile, "maxnreg": registers_of(programs * warps)},
            num_warps=warps,
            before=(pack_launch(image, packed, operation.inputs[0], batch_size),),
        )


def _convolution(operation: Operation) -> Convolution:
    assert isinstance(operation.node, ConvolutionMaxPool)
    return operation.node.convolution


KERNELS = (HopperRealPooledStem,)
