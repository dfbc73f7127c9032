"""Reads sums, products with constants, normalisation by constants, ranges, concatenation and softmax."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Activation, Add, Affine, Array, Clamp, Concat, Softmax, Tensor
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_walk import Reader, View, Walk

_LARGEST = float(np.finfo(np.float32).max)  # what Clip says for "no bound" up to opset 10
_SOFTMAX_OF_LAST = 13  # the opset from which softmax is over the last axis unless said
_INFINITY = float("inf")
Doubles = NDArray[np.float64]


def _add(walk: Walk, operation: Operation) -> None:
    if any(name in walk.constants for name in operation.inputs):
        _by_constant(walk, operation)
        return
    one, other = walk.real(operation, 0), walk.real(operation, 1)
    if one.shape != other.shape:
        raise walk.refusal(operation, f"of the shapes {one.shape} and {other.shape}")
    node = Add(name=operation.name, inputs=(one.name, other.name), output=operation.output)
    walk.add(node, Tensor(node.output, one.shape))


def _by_constant(walk: Walk, operation: Operation) -> None:
    """One of x + c, x - c, c - x, x * c and x / c, as x * factor + offset; x / c is x * (1 / c)."""
    kind, first = operation.kind, operation.input(0) not in walk.constants
    if operation.input(1 if first else 0) not in walk.constants:
        raise walk.refusal(operation, "of two tensors")
    if kind == "Div" and not first:
        raise walk.refusal(operation, "of a constant by a tensor")
    view = walk.view(operation, 0 if first else 1)
    value = _by_channel(walk, operation, view, walk.array(operation, 1 if first else 0))
    ones, zeros = np.ones_like(value), np.zeros_like(value)
    factor, offset = {
        "Add": (ones, value),
        "Sub": (ones, -value) if first else (-ones, value),
        "Mul": (value, zeros),
        "Div": (ones / value if kind == "Div" else ones, zeros),
    }[kind]
    _affine(walk, operation, view, factor, offset)


def _by_channel(walk: Walk, operation: Operation, view: View, value: Array) -> Doubles:
    """A constant that broadcasts with a tensor as one number for each channel. Raises DataError."""
    rank, channels = len(view.axes), view.tensor.shape[0]
    shape = (1,) * (rank - value.ndim) + value.shape
    allowed = [channels if axis == 1 else 1 for axis in view.axes]
    if len(shape) != rank or any(n not in (1, most) for n, most in zip(shape, allowed, strict=True)):
        raise walk.refusal(operation, f"with a constant of the shape {value.shape}")
    return np.broadcast_to(value.reshape(-1).astype(np.float64), channels)


def _batch_norm(walk: Walk, operation: Operation) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + shift (Ioffe and Szegedy 2015, algorithm 2)."""
    if operation.attributes.get("training_mode", 0):
        raise walk.refusal(operation, "in training mode")
    view = walk.plain(operation)
    numbers = [walk.array(operation, position).astype(np.float64) for position in range(1, 5)]
    scale, shift, mean, variance = numbers
    factor = scale / np.sqrt(variance + operation.attributes.get("epsilon", 1e-5))
    _affine(walk, operation, view, factor, shift - mean * factor)


def _affine(walk: Walk, operation: Operation, view: View, factor: Doubles, offset: Doubles) -> None:
    if view.tensor.scale is not None:
        raise walk.refusal(operation, "of integers")
    node = Affine(
        name=operation.name,
        inputs=(view.tensor.name,),
        output=operation.output,
        factor=factor.astype(np.float32),
        offset=offset.astype(np.float32),
    )
    walk.add(node, Tensor(node.output, view.tensor.shape), like=view)


def _relu(walk: Walk, operation: Operation) -> None:
    _clamp(walk, operation, 0.0, _INFINITY)


def _clip(walk: Walk, operation: Operation) -> None:
    low, high = (_bound(walk, operation, *each) for each in ((1, "min", -_INFINITY), (2, "max", _INFINITY)))
    _clamp(walk, operation, low, high)


def _bound(walk: Walk, operation: Operation, position: int, name: str, default: float) -> float:
    """One bound: an attribute up to opset 10, an input since, or none."""
    if operation.input(position):
        bound = float(walk.array(operation, position).reshape(()))
    else:
        bound = float(operation.attributes.get(name, default))
    return bound if abs(bound) < _LARGEST else float(np.copysign(_INFINITY, bound))


def _clamp(walk: Walk, operation: Operation, low: float, high: float) -> None:
    """Hold a tensor between bounds; those of integers are integers of the file, which become real."""
    view = walk.view(operation)
    tensor = view.tensor
    if tensor.scale is not None:
        least = view.zero - (0 if tensor.unsigned else 128)
        low, high = (-_INFINITY if low <= least else low), (_INFINITY if high >= least + 255 else high)
        low, high = (float(np.float32(bound - view.zero) * np.float32(tensor.scale)) for bound in (low, high))
    if (low, high) == (-_INFINITY, _INFINITY):
        walk.alias(operation, view)
        return
    node = Activation(
        name=operation.name, inputs=(tensor.name,), output=operation.output, clamp=Clamp(low, high)
    )
    walk.add(node, Tensor(node.output, tensor.shape, tensor.scale, tensor.unsigned), like=view)


def _concat(walk: Walk, operation: Operation) -> None:
    views = [walk.plain(operation, position) for position in range(len(operation.inputs))]
    first = views[0]
    if operation.attributes["axis"] % len(first.axes) != 1:
        raise walk.refusal(operation, "over another axis than that of the channels")
    if len({(view.tensor.scale, view.tensor.unsigned, view.zero) for view in views}) > 1:
        raise walk.refusal(operation, "of integers with different scales")
    node = Concat(
        name=operation.name, inputs=tuple(view.tensor.name for view in views), output=operation.output
    )
    shape = (sum(view.tensor.shape[0] for view in views), *first.tensor.shape[1:])
    walk.add(node, Tensor(node.output, shape, first.tensor.scale, first.tensor.unsigned), like=first)


def _softmax(walk: Walk, operation: Operation) -> None:
    features = walk.real(operation)
    default = -1 if walk.source.opset >= _SOFTMAX_OF_LAST else 1
    axis = operation.attributes.get("axis", default)
    if len(features.shape) != 1 or axis not in (1, -1):
        raise walk.refusal(operation, "of something else than features")
    log = operation.kind == "LogSoftmax"
    node = Softmax(name=operation.name, inputs=(features.name,), output=operation.output, log=log)
    walk.add(node, Tensor(node.output, features.shape))


READERS: Mapping[str, Reader] = {
    "Add": _add,
    "Sub": _by_constant,
    "Mul": _by_constant,
    "Div": _by_constant,
    "BatchNormalization": _batch_norm,
    "Relu": _relu,
    "Clip": _clip,
    "Concat": _concat,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
