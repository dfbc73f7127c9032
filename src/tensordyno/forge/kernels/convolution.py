"""The convolution that takes them all: any format, window, group and place, as an implicit matrix product."""

from collections.abc import Mapping
from typing import Any

from triton import cdiv

from tensordyno.forge.graph import Array, Clamp, Convolution
from tensordyno.forge.kernels.base import Choice, Kernel, Launch, Target, Tensors
from tensordyno.forge.kernels.conversions import scale_of
from tensordyno.forge.kernels.convolution_choices import interpreted_choices, product_choices
from tensordyno.forge.kernels.convolution_shape import INTEGERS, shape_of
from tensordyno.forge.kernels.convolution_weights import epilogue_of, product_arrays
from tensordyno.forge.kernels.implicit_product import convolution
from tensordyno.forge.program import Operation
from tensordyno.vocabulary import Precision

_REAL = (Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32)


class ImplicitProduct(Kernel):
    """Every convolution and matrix product. A choice is (rows, columns, depth, flat, warps, stages)."""

    name = "convolution"

    def takes(self, operation: Operation, target: Target) -> bool:
        """Convolutions whose arithmetic fits their operands: INT8 of integers, else real."""
        return computes(operation)

    def choices(self, operation: Operation, batch_size: int, target: Target) -> tuple[Choice, ...]:
        """Up to 12 tiles, ranked by a prediction for Hopper; small ones under the interpreter."""
        shape = shape_of(operation)
        if target.interpreted:
            return interpreted_choices(shape)
        rows = batch_size * operation.output.pixels
        return product_choices(shape, rows, operation.precision, target.capability)

    def weights(self, operation: Operation) -> Mapping[str, Array]:
        """`weight`, `bias`, and where needed `factor` and `offset` (convolution_weights.py)."""
        return product_arrays(operation, shape_of(operation))

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
        """One program for each tile, those of the same pixels side by side, and each group."""
        shape = shape_of(operation)
        rows, columns, depth, is_flat, warps, stages = choice
        pixels = batch_size * operation.output.pixels
        return Launch(
            function=convolution,
            grid=(cdiv(pixels, rows) * cdiv(shape.out_channels, columns), shape.groups),
            arguments=arguments(operation, pixels, tensors, typed(weights, operation.precision)),
            constants={
                "SHAPE": shape,
                "IS_TF32": operation.precision is Precision.TF32,
                "CLAMPS": clamp_kind(operation),
                "ASSEMBLY": target.has_assembly,
                "FLAT": bool(is_flat),
                "BLOCK_M": rows,
                "BLOCK_N": columns,
                "BLOCK_K": depth,
            },
            num_warps=warps,
            num_stages=stages,
        )


def computes(operation: Operation) -> bool:
    """Whether an operation is a convolution with an arithmetic that its operands have."""
    node = operation.node
    if not isinstance(node, Convolution):
        return False
    is_integer = operation.inputs[0].format in INTEGERS and node.weight_scale is not None
    return is_integer if operation.precision is Precision.INT8 else operation.precision in _REAL


def arguments(
    operation: Operation, pixels: int, tensors: Tensors, weights: Mapping[str, Any]
) -> dict[str, Any]:
    """What convolution kernels are called with, in this order; `offset`, `factor`, `residual` may be None."""
    image, *residual = operation.inputs
    epilogue = epilogue_of(operation)
    return {
        "image": tensors(image),
        "weight": weights["weight"],
        "factor": weights.get("factor"),
        "bias": weights["bias"],
        "offset": weights.get("offset"),
        "residual": tensors(residual[0]) if residual else None,
        "output": tensors(operation.output),
        "pixels": pixels,
        "image_scale": scale_of(image),
        "residual_factor": float(epilogue.residual_factor),
        "low": float(epilogue.low),
        "high": float(epilogue.high),
    }


def clamp_kind(operation: Operation) -> int:
    """The epilogue's CLAMPS: 0 for none, 1 for ReLU, 2 for low and high."""
    assert isinstance(operation.node, Convolution)
    clamp = operation.node.clamp
    return 0 if clamp is None else 1 if clamp == Clamp() else 2


def typed(weights: Mapping[str, Any], precision: Precision) -> Mapping[str, Any]:
    """With the bits of bf16, which NumPy has no type for, under their own type."""
    if precision is not Precision.BF16:
        return weights
    import torch

    return {**weights, "weight": weights["weight"].view(torch.bfloat16)}


KERNELS: tuple[Kernel, ...] = (ImplicitProduct(),)
