"""The oracle of pooling: exact maxima, and means that round once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Array, AveragePool, GlobalAveragePool, MaxPool, Pair, Tensor
from tensordyno.forge.kernels.reference_values import Value, store, store_steps
from tensordyno.forge.kernels.reference_windows import output_size, taps


def max_pool(node: MaxPool, inputs: Sequence[Value], output: Tensor) -> Value:
    """The maximum of each window; of integers an integer, which an output of the same scale keeps."""
    numbers = inputs[0].numbers
    size = output_size(numbers, node.kernel, node.stride, node.pads, node.ceil)
    lowest = -np.inf if numbers.dtype.kind == "f" else np.iinfo(numbers.dtype).min
    found = np.full((*numbers.shape[:-2], *size), lowest, numbers.dtype)
    for tap in taps(numbers, node.kernel, node.stride, node.pads, size, lowest):
        np.maximum(found, tap, out=found)
    return store(Value(found, inputs[0].scale).real, output)


def average_pool(node: AveragePool, inputs: Sequence[Value], output: Tensor) -> Value:
    """The mean of each window.

    It counts the pixels inside the image, or with `count_pads` those inside the padded image; what a ceiling
    lets hang over never counts.
    """
    numbers = inputs[0].numbers
    size = output_size(numbers, node.kernel, node.stride, node.pads, node.ceil)
    sums = np.zeros((*numbers.shape[:-2], *size), _sum_format(inputs[0]))
    for tap in taps(numbers, node.kernel, node.stride, node.pads, size, 0):
        sums += tap
    return _mean(sums, _counts(node, (numbers.shape[-2], numbers.shape[-1]), size), inputs[0], output)


def global_average_pool(node: GlobalAveragePool, inputs: Sequence[Value], output: Tensor) -> Value:
    """The mean of each channel, (n, channels, 1, 1), or (n, channels) where the output says so."""
    numbers = inputs[0].numbers
    sums = numbers.sum(axis=(2, 3), keepdims=len(output.shape) == 3, dtype=_sum_format(inputs[0]))
    return _mean(sums, np.float64(numbers.shape[2] * numbers.shape[3]), inputs[0], output)


def _sum_format(value: Value) -> type[np.int32] | type[np.float64]:
    return np.float64 if value.scale is None else np.int32


def _mean(sums: Array, counts: NDArray[np.float64] | np.float64, source: Value, output: Tensor) -> Value:
    """Sums over counts.

    Integers take one float32 multiplication, by float32(input scale / count / output scale), which a kernel
    copies bit for bit; between equal scales the factor is 1 / count, so that halves are met exactly (a mean
    of four has one in every four) and go to even. ONNX Runtime sums real numbers, whose halves fall to either
    side: one in sixteen of such means is another integer there. Without a scale at the output, the factor
    leaves it out. Real sums are in float64 and rounded once.
    """
    if source.scale is None:
        return store((sums / counts).astype(np.float32), output)
    step = 1.0 if output.scale is None else float(np.float32(output.scale))
    factor = (float(source.scale) / (counts * step)).astype(np.float32)
    scaled = sums.astype(np.float32) * factor
    return Value(scaled) if output.scale is None else store_steps(scaled, output)


def _counts(node: AveragePool, image: Pair, size: Pair) -> NDArray[np.float64]:
    """How many pixels each window averages over, (height, width)."""
    rows, columns = (_count_along(node, axis, image[axis], size[axis]) for axis in (0, 1))
    return (rows[:, None] * columns).astype(np.float64)


def _count_along(node: AveragePool, axis: int, pixels: int, size: int) -> NDArray[np.int64]:
    before, after = node.pads[axis], node.pads[axis + 2]
    first, last = (-before, pixels + after) if node.count_pads else (0, pixels)
    starts = np.arange(size) * node.stride[axis] - before
    return np.minimum(starts + node.kernel[axis], last) - np.maximum(starts, first)
