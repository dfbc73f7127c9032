"""The arrays of convolution kernels: weights in the order of the product, constants of the epilogue."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Array, Convolution, Tensor
from tensordyno.forge.kernels.convolution_shape import Shape
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference_convolution import real_weight
from tensordyno.forge.kernels.reference_folded import Epilogue, fold
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

_UNSIGNED_ZERO = 128  # what is taken from uint8 to make it int8


def epilogue_of(operation: Operation) -> Epilogue:
    """The constants behind the sums, in steps of the output, where it has a scale.

    Sums of real numbers are real: they are folded like those of integers of scale 1.
    """
    node = operation.node
    assert isinstance(node, Convolution)
    image, *residual = (tensor_of(view) for view in operation.inputs)
    if operation.precision is not Precision.INT8:
        node = replace(node, weight_scale=np.ones(len(node.weight), np.float32))
        image = replace(image, scale=1.0)
    return fold(node, [image, *residual], tensor_of(operation.output))


def epilogue_arrays(operation: Operation) -> dict[str, Array]:
    """`bias` and `factor` (out channels,) float32, in steps; no factor where it is 1 for all channels."""
    epilogue = epilogue_of(operation)
    arrays: dict[str, Array] = {"bias": epilogue.bias}
    if (epilogue.factor != 1).any():
        arrays["factor"] = epilogue.factor
    return arrays


def product_arrays(operation: Operation, shape: Shape) -> Mapping[str, Array]:
    """What a matrix product needs: `weight`, `bias`, and where needed `factor` and `offset`.

    weight (groups, out_channels, row_pitch), as convolution_shape.py orders it, is int8, float16 or float32
    (of tf32: rounded to it); bf16 stands as int16, its bits. `offset` (out channels,) int32 is what sums lack
    whose uint8 input was made int8 by taking 128 from all of it, the zeros of the padding too.
    """
    node = operation.node
    assert isinstance(node, Convolution)
    arrays = epilogue_arrays(operation)
    rows = _rows(_arithmetic_weight(node, operation.precision), node.groups, shape)
    if operation.precision is Precision.INT8 and operation.inputs[0].format is Format.UINT8:
        sums = rows.astype(np.int64).sum(axis=2).ravel() * _UNSIGNED_ZERO
        arrays["offset"] = sums.astype(np.int32)
    arrays["weight"] = _stored(rows, operation.precision)
    return arrays


def channel_arrays(operation: Operation) -> Mapping[str, Array]:
    """What a depthwise kernel needs: `weight`, tap after tap, `bias`, and where needed `factor`.

    weight is (taps, channels) of the arithmetic's format, as above; of INT8 (quads, channels) int32: the
    weights of four taps, the first in the lowest byte, zeros behind the last.
    """
    node = operation.node
    assert isinstance(node, Convolution)
    arrays = epilogue_arrays(operation)
    by_tap = _arithmetic_weight(node, operation.precision).reshape(len(node.weight), -1).T
    if operation.precision is not Precision.INT8:
        arrays["weight"] = _stored(np.ascontiguousarray(by_tap), operation.precision)
        return arrays
    quads = -(-len(by_tap) // 4)
    bytes_of = np.zeros((quads * 4, by_tap.shape[1]), np.int8)
    bytes_of[: len(by_tap)] = by_tap
    words = bytes_of.view(np.uint8).astype(np.uint32).reshape(quads, 4, -1)
    shifts = np.array([0, 8, 16, 24], np.uint32).reshape(1, 4, 1)
    arrays["weight"] = (words << shifts).sum(axis=1, dtype=np.uint32).view(np.int32)
    return arrays


def _arithmetic_weight(node: Convolution, precision: Precision) -> Array:
    """int8, or float32 of the arithmetic's format."""
    return node.weight if precision is Precision.INT8 else rounded(real_weight(node), precision)


def _rows(weight: Array, groups: int, shape: Shape) -> Array:
    """(groups of the shape, out_channels, row_pitch), from (out, in / groups, height, width)."""
    together = groups // shape.groups
    out, into = shape.out_channels // together, shape.channels // together
    apart = weight.reshape(shape.groups, together, out, into, shape.taps)
    rows = np.zeros((shape.groups, together, out, shape.taps, shape.tap_pitch), weight.dtype)
    for index in range(together):  # a group sees its own channels of those that were merged
        own = slice(index * into, (index + 1) * into)
        rows[:, index, :, :, own] = apart[:, index].transpose(0, 1, 3, 2)
    flat = rows.reshape(shape.groups, shape.out_channels, -1)
    return np.pad(flat, ((0, 0), (0, 0), (0, shape.row_pitch - flat.shape[2])))


def _stored(rows: Array, precision: Precision) -> Array:
    if precision is Precision.FP16:
        return rows.astype(np.float16)
    return _bfloat16(rows) if precision is Precision.BF16 else rows


def _bfloat16(rounded_already: NDArray[np.float32]) -> NDArray[np.int16]:
    """The upper half of each float32, which is all that is left of one that was rounded to bf16."""
    return (rounded_already.view(np.uint32) >> 16).astype(np.uint16).view(np.int16)


def tensor_of(view: View) -> Tensor:
    """The graph's tensor that lies there."""
    shape = (view.channels, view.height, view.width)
    return Tensor(view.storage, shape, view.scale, view.format is Format.UINT8)
