"""ONNX operators as operations of PyTorch, for the parts of a Q/DQ network between its layers.

Meanings follow the ONNX operator schemas (opset 13 to 24) for inputs (N, C, H, W).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import Unsupported

if TYPE_CHECKING:
    from torch import fx

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One node of an ONNX graph, ready to be written into a graph of PyTorch operations."""

    kind: str
    graph: "fx.Graph"
    inputs: tuple[str, ...]  # "" where an optional one is left out
    attributes: dict[str, Any]
    tensor: Callable[[str], "fx.Node"]
    constant: Callable[[str], Array | None]

    def __len__(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    def __getitem__(self, index: int) -> "fx.Node":
        """An input as a tensor."""
        return self.tensor(self.inputs[index])

    def given(self, index: int) -> bool:
        """Whether that input is there."""
        return len(self.inputs) > index and bool(self.inputs[index])

    def known(self, index: int) -> Array | None:
        """An input that is a constant, as an array; None when it is left out.

        Raises Unsupported when it is there but computed.
        """
        if not self.given(index):
            return None
        value = self.constant(self.inputs[index])
        if value is None:
            raise Unsupported(f"This PyTorch engine needs a constant input {index} of {self.kind}.")
        return value

    def axes(self, index: int) -> list[int] | None:
        """Axes, which opset 13 gives as an attribute or as an input, depending on the operator."""
        if "axes" in self.attributes:
            return list(self.attributes["axes"])
        found = self.known(index)
        return None if found is None else [int(axis) for axis in found]

    def aten(self, name: str, *arguments: Any) -> "fx.Node":
        """Write a call of `torch.ops.aten`, "add.Tensor" for one; the overload is "default" if unnamed."""
        import torch

        operator, _, overload = name.partition(".")
        return self.graph.call_function(
            getattr(getattr(torch.ops.aten, operator), overload or "default"), arguments
        )


def sides(operation: Operation, fill: float, more: int = 0) -> tuple["fx.Node", list[int]]:
    """First input and the padding (height, width) that is still to be applied to it on both sides.

    Padding that differs between the sides, and `more` below and to the right, is applied here, with
    `fill`. Raises Unsupported for networks of another number of axes.
    """
    pads = operation.attributes.get("pads", [0, 0, 0, 0])
    automatic = operation.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    if len(pads) != 4 or automatic:
        raise Unsupported(f"This PyTorch engine reads {operation.kind} with explicit padding of images only.")
    top, left, bottom, right = pads
    if (top, left) == (bottom, right) and not more:
        return operation[0], [top, left]
    return _padded(operation, [left, right + more, top, bottom + more], fill), [0, 0]


def _padded(operation: Operation, pads: list[int], fill: float) -> "fx.Node":
    """The first input with more rows and columns; INT8 codes are padded before they are dequantized, so
    that the operation still reads INT8.
    """
    images = operation[0]
    if "dequantize_per_tensor" not in str(images.target):
        return operation.aten("constant_pad_nd", images, pads, fill)
    codes, scale, zero, least, most, kind = images.args
    code = int(np.clip(fill / cast(float, scale) + cast(int, zero), cast(int, least), cast(int, most)))
    wider = operation.aten("constant_pad_nd", codes, pads, code)
    return operation.graph.call_function(cast(Any, images.target), (wider, scale, zero, least, most, kind))


def _max_pool(operation: Operation) -> "fx.Node":
    """Rounding the size up is written as padding below.

    Inductor's INT8 max-pooling loses PyTorch's own ceil_mode (2.13: the pattern of three arguments also
    matches a call with four) and gives smaller images without a word.
    """
    get = operation.attributes.get
    kernel, strides = list(get("kernel_shape", [])), list(get("strides", [1, 1]))
    pads, dilations = list(get("pads", [0, 0, 0, 0])), list(get("dilations", [1, 1]))
    more = max(strides) - 1 if get("ceil_mode", 0) else 0
    if more and (strides[0] != strides[1] or max(dilations) > 1 or max(pads) + max(strides) > min(kernel)):
        raise Unsupported("This PyTorch engine cannot round the size of this MaxPool up.")
    images, padding = sides(operation, float("-inf"), more)
    return operation.aten("max_pool2d", images, kernel, strides, padding, dilations)


def _average_pool(operation: Operation) -> "fx.Node":
    get = operation.attributes.get
    pads, counted = get("pads", [0, 0, 0, 0]), bool(get("count_include_pad", 0))
    if pads[:2] != pads[2:] and not counted:
        raise Unsupported("This PyTorch engine cannot leave uneven padding out of an average.")
    images, padding = sides(operation, 0.0)
    arguments = (
        list(get("kernel_shape", [])),
        list(get("strides", [1, 1])),
        padding,
        bool(get("ceil_mode", 0)),
    )
    return operation.aten("avg_pool2d", images, *arguments, counted)


def _clip(operation: Operation) -> "fx.Node":
    """Codes are clipped before they are quantized, where inductor's patterns look for an activation."""
    limits = [operation.known(index) for index in (1, 2)]
    low, high = (None if limit is None else float(limit) for limit in limits)
    source = operation[0]
    if ".quantize_per_tensor" not in str(source.target):
        return _limited(operation, source, low, high)
    value, scale, zero, least, most, _ = cast(Any, source.args)
    low = None if low is None or low <= least else (low - zero) * scale
    high = None if high is None or high >= most else (high - zero) * scale
    limited = _limited(operation, value, low, high)
    return operation.graph.call_function(cast(Any, source.target), (limited, *source.args[1:]))


def _limited(operation: Operation, value: "fx.Node", low: float | None, high: float | None) -> "fx.Node":
    if low is None and high is None:
        return value
    if (low, high) == (0.0, None):
        return operation.aten("relu", value)
    if (low, high) == (0.0, 6.0):
        return operation.aten("relu6", value)
    return operation.aten("clamp", value, low, high)


def _reshape(operation: Operation) -> "fx.Node":
    target = operation.known(1)
    assert target is not None, "ONNX wants a shape"
    shape: list[Any] = [int(side) for side in target]
    if not operation.attributes.get("allowzero", 0):
        kept = [i for i, side in enumerate(shape) if side == 0]
        for i in kept:
            shape[i] = operation.aten("sym_size.int", operation[0], i)
    return operation.aten("reshape", operation[0], shape)


def _flatten(operation: Operation) -> "fx.Node":
    if operation.attributes.get("axis", 1) != 1:
        raise Unsupported("This PyTorch engine flattens from the second axis only.")
    return operation.aten("flatten.using_ints", operation[0], 1)


def _mean(operation: Operation) -> "fx.Node":
    keep = bool(operation.attributes.get("keepdims", 1))
    return operation.aten("mean.dim", operation[0], operation.axes(1), keep)


def _squeeze(operation: Operation) -> "fx.Node":
    axes = operation.axes(1)
    if axes is None:
        raise Unsupported("This PyTorch engine needs the axes of Squeeze.")
    return operation.aten("squeeze.dims", operation[0], axes)


def _unsqueeze(operation: Operation) -> "fx.Node":
    value = operation[0]
    for axis in sorted(operation.axes(1) or []):
        value = operation.aten("unsqueeze", value, axis)
    return value


def _transpose(operation: Operation) -> "fx.Node":
    return operation.aten("permute", operation[0], list(operation.attributes["perm"]))


def _concat(operation: Operation) -> "fx.Node":
    parts = [operation[index] for index in range(len(operation))]
    return operation.aten("cat", parts, operation.attributes["axis"])


def _softmax(operation: Operation) -> "fx.Node":
    return operation.aten("softmax.int", operation[0], operation.attributes.get("axis", -1))


def _hard_sigmoid(operation: Operation) -> "fx.Node":
    alpha, beta = operation.attributes.get("alpha", 0.2), operation.attributes.get("beta", 0.5)
    line = operation.aten("add.Scalar", operation.aten("mul.Scalar", operation[0], alpha), beta)
    return operation.aten("clamp", line, 0.0, 1.0)


def _leaky_relu(operation: Operation) -> "fx.Node":
    return operation.aten("leaky_relu", operation[0], operation.attributes.get("alpha", 0.01))


def _response_normalisation(operation: Operation) -> "fx.Node":
    """Across channels; both libraries divide alpha by the size (Krizhevsky et al., 2012, section 3.3)."""
    import torch

    get = operation.attributes.get
    arguments = (get("size"), get("alpha", 1e-4), get("beta", 0.75), get("bias", 1.0))
    return operation.graph.call_function(torch.nn.functional.local_response_norm, (operation[0], *arguments))


def _batch_normalisation(operation: Operation) -> "fx.Node":
    scale, offset, mean, variance = (operation.known(index) for index in range(1, 5))
    assert scale is not None and offset is not None and mean is not None and variance is not None
    images, *values = (operation[index] for index in range(5))
    return operation.aten(
        "batch_norm", images, *values, False, 0.0, operation.attributes.get("epsilon", 1e-5), False
    )


def _pad(operation: Operation) -> "fx.Node":
    pads, fill = operation.known(1), operation.known(2)
    constant = operation.attributes.get("mode", b"constant") == b"constant"
    if pads is None or len(pads) != 8 or pads[[0, 1, 4, 5]].any() or not constant or operation.given(3):
        raise Unsupported("This PyTorch engine pads the height and width of images with a constant only.")
    top, left, bottom, right = (int(pads[index]) for index in (2, 3, 6, 7))
    value = 0.0 if fill is None else float(np.asarray(fill).reshape(()))
    return operation.aten("constant_pad_nd", operation[0], [left, right, top, bottom], value)


def _named(name: str, inputs: int) -> Callable[[Operation], "fx.Node"]:
    """An operator that PyTorch has under that name with the same inputs."""
    return lambda operation: operation.aten(name, *(operation[index] for index in range(inputs)))


OPERATIONS: dict[str, Callable[[Operation], "fx.Node"]] = {
    "Add": _named("add.Tensor", 2),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalisation,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _named("div.Tensor", 2),
    "Dropout": lambda operation: operation[0],
    "Flatten": _flatten,
    "GlobalAveragePool": lambda operation: operation.aten("mean.dim", operation[0], [2, 3], True),
    "GlobalMaxPool": lambda operation: operation.aten("amax", operation[0], [2, 3], True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _named("hardswish", 1),
    "Identity": lambda operation: operation[0],
    "LRN": _response_normalisation,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Mul": _named("mul.Tensor", 2),
    "Pad": _pad,
    "Pow": _named("pow.Tensor_Tensor", 2),
    "ReduceMean": _mean,
    "Relu": _named("relu", 1),
    "Reshape": _reshape,
    "Sigmoid": _named("sigmoid", 1),
    "Softmax": _softmax,
    "Sqrt": _named("sqrt", 1),
    "Squeeze": _squeeze,
    "Sub": _named("sub.Tensor", 2),
    "Tanh": _named("tanh", 1),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
