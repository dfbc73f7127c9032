"""Reads what slides a window over an image or looks at its neighbourhood: pools, means, padding, LRN."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tensordyno.forge.graph import (
    AveragePool,
    Edges,
    GlobalAveragePool,
    LocalResponseNorm,
    MaxPool,
    Pad,
    Pair,
    Reshape,
    Tensor,
)
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_walk import Reader, Walk


class Window(NamedTuple):
    """A sliding window over an image, its padding in numbers."""

    kernel: Pair
    stride: Pair
    pads: Edges
    dilation: Pair
    outputs: Pair  # height and width of the result
    ceil: bool  # whether the last window may stand over the edge, and one does


class _Side(NamedTuple):
    """One axis of a window: what it is padded by, the number of results, whether the last stands over."""

    before: int
    after: int
    outputs: int
    over: bool


def window_of(walk: Walk, operation: Operation, image: Tensor, kernel: Pair) -> Window:
    """The window that an operation's attributes describe; strides and dilations are 1 unless said.

    Raises DataError (`forge-unsupported`).
    """
    given = operation.attributes
    if any(len(given.get(name, (0, 0))) != 2 for name in ("kernel_shape", "strides", "dilations")):
        raise walk.refusal(operation, f"over {len(given.get('kernel_shape', ()))} axes")
    stride, dilation = (_pair(given.get(name, (1, 1))) for name in ("strides", "dilations"))
    if given.get("auto_pad", "NOTSET") != "NOTSET" and given.get("ceil_mode", 0):
        raise walk.refusal(operation, "with auto_pad and ceil_mode")
    height, width = (
        _side(operation, image.shape[1 + axis], (kernel[axis] - 1) * dilation[axis] + 1, stride[axis], axis)
        for axis in (0, 1)
    )
    if min(height.outputs, width.outputs) < 1:
        raise walk.refusal(operation, "with a window larger than the image")
    return Window(
        kernel=kernel,
        stride=stride,
        pads=(height.before, width.before, height.after, width.after),
        dilation=dilation,
        outputs=(height.outputs, width.outputs),
        ceil=height.over or width.over,
    )


def _side(operation: Operation, size: int, reach: int, stride: int, axis: int) -> _Side:
    """One axis of a window that reaches over `reach` values (ONNX operators: Conv, MaxPool)."""
    automatic = operation.attributes.get("auto_pad", "NOTSET")
    if automatic.startswith("SAME"):
        outputs = -(-size // stride)
        missing = max((outputs - 1) * stride + reach - size, 0)
        small, large = missing // 2, missing - missing // 2
        before, after = (small, large) if automatic == "SAME_UPPER" else (large, small)
        return _Side(before, after, outputs, False)
    pads = operation.attributes.get("pads", (0, 0, 0, 0)) if automatic == "NOTSET" else (0, 0, 0, 0)
    before, after = pads[axis], pads[axis + 2]
    room = size + before + after - reach
    outputs = room // stride + 1
    # with ceil_mode, one window more where it begins inside the image or the padding before it
    over = bool(operation.attributes.get("ceil_mode", 0)) and room % stride > 0
    over = over and room >= 0 and outputs * stride < size + before
    return _Side(before, after, outputs + over, over)


def _pool_window(walk: Walk, operation: Operation, image: Tensor) -> Window:
    window = window_of(walk, operation, image, _pair(operation.attributes["kernel_shape"]))
    if window.dilation != (1, 1):
        raise walk.refusal(operation, "with dilations")
    if any(pad >= side for pad, side in zip(window.pads, window.kernel * 2, strict=True)):
        raise walk.refusal(operation, "with padding as wide as its window")
    return window


def _widened(window: Window, image: Tensor) -> Window:
    """A window that stands over the edge as one with that much more padding: the same where padding does
    not count.
    """
    if not window.ceil:
        return window
    top, left, bottom, right = window.pads
    needed = [(n - 1) * s + k for n, s, k in zip(window.outputs, window.stride, window.kernel, strict=True)]
    bottom = max(bottom, needed[0] - image.shape[1] - top)
    right = max(right, needed[1] - image.shape[2] - left)
    return window._replace(pads=(top, left, bottom, right), ceil=False)


def _max_pool(walk: Walk, operation: Operation) -> None:
    view = walk.plain(operation)
    image = view.tensor
    if len(image.shape) != 3:
        raise walk.refusal(operation, f"of {len(image.shape) + 1} axes")
    window = _widened(_pool_window(walk, operation, image), image)
    node = MaxPool(
        name=operation.name,
        inputs=(image.name,),
        output=operation.output,
        kernel=window.kernel,
        stride=window.stride,
        pads=window.pads,
    )
    tensor = Tensor(node.output, (image.shape[0], *window.outputs), image.scale, image.unsigned)
    walk.add(node, tensor, like=view)


def _average_pool(walk: Walk, operation: Operation) -> None:
    image = walk.image(operation)
    window = _pool_window(walk, operation, image)
    counts = bool(operation.attributes.get("count_include_pad", 0)) and (any(window.pads) or window.ceil)
    if not counts:
        window = _widened(window, image)
    if window.kernel == image.shape[1:] and not any(window.pads):
        _global_average(walk, operation)
        return
    node = AveragePool(
        name=operation.name,
        inputs=(image.name,),
        output=operation.output,
        kernel=window.kernel,
        stride=window.stride,
        pads=window.pads,
        ceil=window.ceil,
        count_pads=counts,
    )
    walk.add(node, Tensor(node.output, (image.shape[0], *window.outputs)))


def _global_average(walk: Walk, operation: Operation, output: str = "") -> None:
    image = walk.image(operation)
    node = GlobalAveragePool(name=operation.name, inputs=(image.name,), output=output or operation.output)
    walk.add(node, Tensor(node.output, (image.shape[0], 1, 1)))


def _reduce_mean(walk: Walk, operation: Operation) -> None:
    """A mean over height and width; without them in its shape, a Reshape follows."""
    image = walk.image(operation)
    axes = operation.attributes.get("axes", [])
    if operation.input(1):
        axes = walk.array(operation, 1).tolist()
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise walk.refusal(operation, "over other axes than height and width")
    if operation.attributes.get("keepdims", 1):
        _global_average(walk, operation)
        return
    pooled = walk.fresh(f"{operation.output}_pooled")
    _global_average(walk, operation, pooled)
    node = Reshape(name=operation.name, inputs=(pooled,), output=operation.output)
    walk.add(node, Tensor(node.output, (image.shape[0],)))


def _pad(walk: Walk, operation: Operation) -> None:
    """Zeros around the image; numbers are attributes up to opset 10, inputs since."""
    image, given = walk.image(operation), operation.attributes
    if given.get("mode", "constant") != "constant":
        raise walk.refusal(operation, f"in mode {given['mode']}")
    value = walk.array(operation, 2) if operation.input(2) else given.get("value", 0)
    if value != 0:
        raise walk.refusal(operation, "with another value than 0")
    pads = walk.array(operation, 1).tolist() if operation.input(1) else given["pads"]
    axes = walk.array(operation, 3).tolist() if operation.input(3) else range(4)
    edges = _edges(pads, [axis % 4 for axis in axes])
    if edges is None:
        raise walk.refusal(operation, "of batch or channels, or by less than nothing")
    top, left, bottom, right = edges
    channels, height, width = image.shape
    node = Pad(name=operation.name, inputs=(image.name,), output=operation.output, pads=edges)
    walk.add(node, Tensor(node.output, (channels, height + top + bottom, width + left + right)))


def _edges(pads: Sequence[int], axes: Sequence[int]) -> Edges | None:
    """Padding of height and width from ONNX's (begins..., ends...) of `axes`; None when there is other."""
    begins, ends = [0] * 4, [0] * 4
    for position, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[position], pads[position + len(axes)]
    if any(begins[:2] + ends[:2]) or min(begins + ends) < 0:
        return None
    return begins[2], begins[3], ends[2], ends[3]


def _local_response(walk: Walk, operation: Operation) -> None:
    image, given = walk.image(operation), operation.attributes
    node = LocalResponseNorm(
        name=operation.name,
        inputs=(image.name,),
        output=operation.output,
        size=given["size"],
        alpha=given.get("alpha", 1e-4),
        beta=given.get("beta", 0.75),
        bias=given.get("bias", 1.0),
    )
    walk.add(node, Tensor(node.output, image.shape))


def _pair(numbers: Sequence[int]) -> Pair:
    return int(numbers[0]), int(numbers[1])


READERS: Mapping[str, Reader] = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _reduce_mean,
    "Pad": _pad,
    "LRN": _local_response,
}
