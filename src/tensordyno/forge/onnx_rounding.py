"""Reads QuantizeLinear and DequantizeLinear of activations.

Integers of a file are its zero point plus those of the graph. uint8 with zero point 128 are the int8 numbers
of the graph, uint8 with zero point 0 (or int8 with -128) are its unsigned ones; others forge does not have.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tensordyno.errors import DataError
from tensordyno.forge.graph import Dequantize, Quantize, Tensor
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_walk import Reader, Walk

_LEAST = {np.dtype(np.int8): -128, np.dtype(np.uint8): 0}  # of the types that forge reads
_IS_UNSIGNED = {128: False, 0: True}  # by the distance of the zero point from the least integer


class _Grid(NamedTuple):
    """Step, zero point and type of integers."""

    scale: float
    zero: int
    unsigned: bool


def _quantize(walk: Walk, operation: Operation) -> None:
    view = walk.view(operation)
    if view.tensor.scale is not None:
        raise walk.refusal(operation, "of integers")
    grid = _grid(walk, operation)
    node = Quantize(name=operation.name, inputs=(view.tensor.name,), output=operation.output)
    tensor = Tensor(node.output, view.tensor.shape, grid.scale, grid.unsigned)
    walk.add(node, tensor, like=replace(view, zero=grid.zero))


def _dequantize(walk: Walk, operation: Operation) -> None:
    view = walk.view(operation)
    tensor = view.tensor
    if tensor.scale is None:
        raise walk.refusal(operation, "of real numbers")
    zero = int(walk.array(operation, 2).reshape(-1)[0]) if operation.input(2) else 0
    if (_step(walk, operation), zero) != (tensor.scale, view.zero):
        raise walk.refusal(operation, "with another scale or zero point than its integers have")
    node = Dequantize(name=operation.name, inputs=(tensor.name,), output=operation.output)
    walk.add(node, Tensor(node.output, tensor.shape), like=replace(view, zero=0))


def _grid(walk: Walk, operation: Operation) -> _Grid:
    """What a QuantizeLinear rounds to. Raises DataError."""
    step = _step(walk, operation)
    zero, kind = _zero_point(walk, operation)
    if kind not in _LEAST:
        raise walk.refusal(operation, f"to {kind}")
    distance = zero - _LEAST[kind]
    if distance not in _IS_UNSIGNED:
        raise DataError(
            "asymmetric-activations",
            f"{walk.source.label}: the tensor '{operation.input(0)}' is quantized to {kind} around {zero}; "
            "forge multiplies integers around 0 only.",
            "Quantize the FP32 network with dyno quantize, or with symmetric activations.",
        )
    return _Grid(step, zero, _IS_UNSIGNED[distance])


def _step(walk: Walk, operation: Operation) -> float:
    """The scale of an operation: one number above 0. Raises DataError."""
    scale = walk.array(operation, 1).astype(np.float32)
    if scale.size != 1:
        raise walk.refusal(operation, "with a scale for each channel of an activation")
    step = float(scale.reshape(()))
    if not 0 < step < float("inf"):
        raise walk.refusal(operation, f"with the scale {step}")
    return step


def _zero_point(walk: Walk, operation: Operation) -> tuple[int, np.dtype[Any]]:
    """The zero point and the type of the integers: uint8 around 0 unless the file says more."""
    from onnx import helper

    if operation.input(2):
        zero = walk.array(operation, 2)
        return int(zero.reshape(-1)[0]), zero.dtype
    kind = operation.attributes.get("output_dtype", 0)
    return 0, np.dtype(helper.tensor_dtype_to_np_dtype(kind) if kind else np.uint8)


READERS: Mapping[str, Reader] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
