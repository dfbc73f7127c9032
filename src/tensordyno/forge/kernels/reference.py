"""The oracle: what each operation of graph.py computes, in NumPy, for kernels and passes to be held against.

Integers are exact and float32 steps are taken in a stated order, so that int8 kernels can be compared bit for
bit (reference_convolution.py says where one unit may differ, reference_folded.py has another order).
Operations on real values read float32(integer) * scale, one rounding, and write
    clip(round half to even(value * float32(1 / scale)))
That product is within 2**-23 of the quotient, a division within 2**-24: ONNX Runtime, which divides, may make
another integer of the same value, off by one, only where value / scale lies within 1.8e-7 of its own size
of a half. Of a million normal numbers one did.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tensordyno.forge import graph
from tensordyno.forge.graph import Node, Tensor
from tensordyno.forge.kernels.reference_convolution import convolution
from tensordyno.forge.kernels.reference_pooling import average_pool, global_average_pool, max_pool
from tensordyno.forge.kernels.reference_values import Value, clamped, per_channel, store
from tensordyno.forge.kernels.reference_windows import extent, output_size, pad_images

Operation = Callable[[Any, Sequence[Value], Tensor], Value]


def compute(node: Node, inputs: Sequence[Value], output: Tensor) -> Value:
    """What a node makes of its inputs, as the tensor `output` holds it.

    Raises TypeError for a node that this file does not know, ValueError where the result has another shape
    than the tensor, which is a fault of whoever made the graph.
    """
    if type(node) not in OPERATIONS:
        raise TypeError(f"The reference has no operation for {type(node).__name__} ({node.name}).")
    made = OPERATIONS[type(node)](node, inputs, output)
    if made.numbers.shape[1:] != output.shape:
        raise ValueError(f"{node.name} makes {made.numbers.shape[1:]}, but {output.name} is {output.shape}.")
    return made


def _convolution_max_pool(node: graph.ConvolutionMaxPool, inputs: Sequence[Value], output: Tensor) -> Value:
    """One after the other.

    A kernel may take the maximum of sums first: nothing behind them changes their order, where weight scales
    are not negative. Real numbers have no such scales behind their sums.
    """
    one = node.convolution
    spans = extent((one.weight.shape[2], one.weight.shape[3]), one.dilation)
    size = output_size(inputs[0].numbers, spans, one.stride, one.pads)
    between = Tensor(one.output, (len(one.weight), *size), output.scale, output.unsigned)
    return max_pool(node.pool, [convolution(one, inputs, between)], output)


def _fused(node: graph.Fused, inputs: Sequence[Value], output: Tensor) -> Value:
    """One part after the other, each rounded as if it were alone."""
    values = dict(zip(node.inputs, inputs, strict=True))
    tensors = {tensor.name: tensor for tensor in node.between} | {node.output: output}
    for part in node.parts:
        made = compute(part, [values[name] for name in part.inputs], tensors[part.output])
        values[part.output] = made
    return values[node.output]


def _add(node: graph.Add, inputs: Sequence[Value], output: Tensor) -> Value:
    """float32(a * scale of a) + float32(b * scale of b).

    A kernel may contract one product into a fused multiply-add: one unit of the output, next to halves only.
    """
    left, right = inputs
    return store(clamped(left.real + right.real, node.clamp), output)


def _concat(node: graph.Concat, inputs: Sequence[Value], output: Tensor) -> Value:
    """Each input takes the output's scale by itself; one that has it already keeps its integers."""
    return store(np.concatenate([value.real for value in inputs], axis=1), output)


def _activation(node: graph.Activation, inputs: Sequence[Value], output: Tensor) -> Value:
    return store(clamped(inputs[0].real, node.clamp), output)


def _affine(node: graph.Affine, inputs: Sequence[Value], output: Tensor) -> Value:
    """Two roundings, of value * factor and of the sum; contracted it is one unit off next to halves only."""
    real = inputs[0].real
    factor, offset = (numbers.astype(np.float32) for numbers in (node.factor, node.offset))
    if real.ndim == 4:
        factor, offset = per_channel(factor), per_channel(offset)
    return store(real * factor + offset, output)


def _local_response_norm(node: graph.LocalResponseNorm, inputs: Sequence[Value], output: Tensor) -> Value:
    """In float64, rounded once to float32. Powers differ on devices: kernels are held to 1e-5 of the value.

    The window of channel c is c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) (ONNX, LRN-13).
    """
    real = inputs[0].real.astype(np.float64)
    before = (node.size - 1) // 2
    around = [(0, 0)] * real.ndim
    around[1] = (before, node.size - 1 - before)
    squares = np.pad(real**2, around)
    sums = np.lib.stride_tricks.sliding_window_view(squares, node.size, 1).sum(axis=-1)
    return store((real / (node.bias + node.alpha / node.size * sums) ** node.beta).astype(np.float32), output)


def _pad(node: graph.Pad, inputs: Sequence[Value], output: Tensor) -> Value:
    return store(pad_images(inputs[0].real, node.pads), output)


def _reshape(node: graph.Reshape, inputs: Sequence[Value], output: Tensor) -> Value:
    real = inputs[0].real
    return store(real.reshape(len(real), *output.shape), output)


def _softmax(node: graph.Softmax, inputs: Sequence[Value], output: Tensor) -> Value:
    """In float64, rounded once to float32: kernels are held to 1e-5 of the value."""
    real = inputs[0].real.astype(np.float64)
    real -= real.max(axis=1, keepdims=True)
    powers = np.exp(real)
    total = powers.sum(axis=1, keepdims=True)
    return store((real - np.log(total) if node.log else powers / total).astype(np.float32), output)


def _convert(node: Node, inputs: Sequence[Value], output: Tensor) -> Value:
    return store(inputs[0].real, output)


OPERATIONS: Mapping[type[Node], Operation] = MappingProxyType(
    {
        graph.Convolution: convolution,
        graph.MaxPool: max_pool,
        graph.ConvolutionMaxPool: _convolution_max_pool,
        graph.Fused: _fused,
        graph.AveragePool: average_pool,
        graph.GlobalAveragePool: global_average_pool,
        graph.Add: _add,
        graph.Concat: _concat,
        graph.Activation: _activation,
        graph.Affine: _affine,
        graph.LocalResponseNorm: _local_response_norm,
        graph.Pad: _pad,
        graph.Reshape: _reshape,
        graph.Softmax: _softmax,
        graph.Quantize: _convert,
        graph.Dequantize: _convert,
    }
)
