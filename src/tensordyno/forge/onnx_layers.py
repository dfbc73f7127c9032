"""Reads the layers with weights: Conv, Gemm and MatMul with a constant."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import DataError
from tensordyno.forge.graph import Array, Convolution, Tensor
from tensordyno.forge.onnx_constants import Rounded
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_walk import Reader, Walk
from tensordyno.forge.onnx_windows import window_of

Floats = NDArray[np.float32]
Weights = tuple[Array, Floats | None]  # in the file's layout; of int8 ones the scale of each output channel

_INT8 = np.iinfo(np.int8)


def _convolution(walk: Walk, operation: Operation) -> None:
    image = walk.image(operation)
    weight, scale = _weights(walk, operation, 0)
    if weight.ndim != 4:
        raise walk.refusal(operation, f"with {weight.ndim - 2}-D weights")
    window = window_of(walk, operation, image, (weight.shape[2], weight.shape[3]))
    node = Convolution(
        name=operation.name,
        inputs=(image.name,),
        output=operation.output,
        weight=weight,
        weight_scale=scale,
        bias=_bias(walk, operation, len(weight)),
        stride=window.stride,
        pads=window.pads,
        dilation=window.dilation,
        groups=operation.attributes.get("group", 1),
    )
    walk.add(node, Tensor(node.output, (len(weight), *window.outputs)))


def _gemm(walk: Walk, operation: Operation) -> None:
    attributes = operation.attributes
    if attributes.get("transA", 0):
        raise walk.refusal(operation, "with transA")
    transposed = bool(attributes.get("transB", 0))
    alpha, beta = (np.float32(attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    weight, scale = _weights(walk, operation, 0 if transposed else 1)
    if scale is None:
        weight = weight if alpha == 1 else weight * alpha
    else:
        scale = scale * alpha
    bias = _bias(walk, operation, weight.shape[0 if transposed else 1])
    _product(
        walk, operation, (weight if transposed else weight.T, scale), None if bias is None else bias * beta
    )


def _matmul(walk: Walk, operation: Operation) -> None:
    walk.view(operation)  # refuses a constant on the left
    weight, scale = _weights(walk, operation, 1)
    if weight.ndim != 2:
        raise walk.refusal(operation, f"with a constant of {weight.ndim} axes")
    _product(walk, operation, (weight.T, scale), None)


def _product(walk: Walk, operation: Operation, weights: Weights, bias: Floats | None) -> None:
    """A matrix product as the convolution of an image of 1 x 1."""
    features, (weight, scale) = walk.real(operation), weights
    if len(features.shape) != 1:
        raise walk.refusal(operation, f"of {len(features.shape) + 1} axes")
    node = Convolution(
        name=operation.name,
        inputs=(features.name,),
        output=operation.output,
        weight=np.ascontiguousarray(weight)[:, :, None, None],
        weight_scale=scale,
        bias=bias,
    )
    walk.add(node, Tensor(node.output, (len(weight),)))


def _weights(walk: Walk, operation: Operation, axis: int) -> Weights:
    """The second input: float32, or int8 with a scale for each index of `axis`, the output channels."""
    name = operation.input(1)
    if name not in walk.constants:
        raise walk.refusal(operation, "with computed weights")
    rounded = walk.constants.rounded(name)
    if rounded is None:
        return np.asarray(walk.constants.array(name), np.float32), None
    channels = rounded.integers.shape[axis]
    if rounded.scale.size > 1 and rounded.axis != axis:
        raise walk.refusal(operation, "with weights that have no scale for each output channel")
    scale = np.broadcast_to(rounded.scale.reshape(-1), channels).astype(np.float32)
    return _centred(walk, operation, rounded), scale


def _centred(walk: Walk, operation: Operation, rounded: Rounded) -> NDArray[np.int8]:
    """The integers less their zero points (uint8 with 128 is int8 with 0). Raises DataError."""
    integers = rounded.integers
    if integers.dtype != np.int8 or rounded.zero.any():
        integers = integers.astype(np.int64) - rounded.along(rounded.zero).astype(np.int64)
    if integers.size and not _INT8.min <= integers.min() <= integers.max() <= _INT8.max:
        raise DataError(
            "asymmetric-weights",
            f"{walk.source.label}: the weights '{operation.input(1)}' of node '{operation.name}' are no int8 "
            "numbers around 0.",
            "Quantize the FP32 network with dyno quantize, or with symmetric INT8 weights.",
        )
    return integers.astype(np.int8)


def _bias(walk: Walk, operation: Operation, channels: int) -> Floats | None:
    if not operation.input(2):
        return None
    bias = np.asarray(walk.array(operation, 2), np.float32)
    if bias.size not in (1, channels) or bias.shape[:-1] not in ((), (1,)):
        raise walk.refusal(operation, f"with a bias of the shape {bias.shape}")
    return np.broadcast_to(bias.reshape(-1), channels).copy()


READERS: Mapping[str, Reader] = {"Conv": _convolution, "Gemm": _gemm, "MatMul": _matmul}
