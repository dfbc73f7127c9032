"""Runs a graph on the NumPy oracle, for kernels, passes and whole engines to be compared with."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Array, Convolution, ConvolutionMaxPool, Fused, Graph, Node, Tensor
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference import compute
from tensordyno.forge.kernels.reference_convolution import is_integer, real_weight
from tensordyno.forge.kernels.reference_values import Value, store
from tensordyno.vocabulary import Precision

_STORED = (Precision.FP16, Precision.BF16)  # formats that tensors are kept in; tf32 is for operands only


def evaluate(graph: Graph, images: Array, precision: Precision = Precision.FP32) -> NDArray[np.float32]:
    """Logits (n, classes) of images (n, channels, height, width).

    Images are float32, or integers of the graph's input where that has a scale. `precision` is the format of
    what has no scale: with fp16 and bf16 weights are rounded to it and so is each tensor as it is written,
    but for the logits; with tf32 both operands of convolutions are rounded, results stay float32. Biases and
    activations are float32 in all. Raises ValueError where images or a node do not fit the graph.
    """
    made = (value for name, value in _steps(graph, images, precision) if name == graph.output)
    return next(made).real.reshape(len(images), -1)


def evaluate_all(graph: Graph, images: Array, precision: Precision = Precision.FP32) -> dict[str, Array]:
    """Every tensor by name, (n, *shape): integers of those with a scale, else float32. See `evaluate`."""
    return {name: value.numbers for name, value in _steps(graph, images, precision)}


def _steps(graph: Graph, images: Array, precision: Precision) -> Iterator[tuple[str, Value]]:
    """The input and then each node's output; a tensor is forgotten behind its last reader."""
    last = {name: node for node in graph.nodes for name in node.inputs}
    live = {graph.input: _kept(_image(graph.tensor(graph.input), images), precision)}
    yield graph.input, live[graph.input]
    for node in graph.nodes:
        inputs = [live[name] for name in node.inputs]
        made = _compute(node, inputs, graph.tensor(node.output), precision)
        live[node.output] = made if node.output == graph.output else _kept(made, precision)
        yield node.output, live[node.output]
        for name in {name for name in node.inputs if last[name] is node}:
            del live[name]


def _image(tensor: Tensor, images: Array) -> Value:
    """Images as the graph's input holds them."""
    if images.shape[1:] != tensor.shape:
        raise ValueError(f"The images are {images.shape[1:]}, but {tensor.name} is {tensor.shape}.")
    if images.dtype.kind == "f":
        return store(images.astype(np.float32, copy=False), tensor)
    if tensor.scale is None or images.dtype != (np.uint8 if tensor.unsigned else np.int8):
        raise ValueError(f"The images are {images.dtype}, which {tensor.name} does not hold.")
    return Value(images, np.float32(tensor.scale))


def _compute(node: Node, inputs: list[Value], output: Tensor, precision: Precision) -> Value:
    """The node's result; operands of a product of real numbers have the format's bits.

    What a max-pool that was fused would have read has them too: rounding keeps order, so that its result is
    rounded instead.
    """
    if isinstance(node, Fused):
        return _compute_parts(node, inputs, output, precision)
    product = node.convolution if isinstance(node, ConvolutionMaxPool) else node
    if not isinstance(product, Convolution) or is_integer(product, inputs[0]):
        return compute(node, inputs, output)
    shortened = replace(product, weight=rounded(real_weight(product), precision), weight_scale=None)
    operands = [Value(rounded(inputs[0].real, precision)), *inputs[1:]]
    if isinstance(node, ConvolutionMaxPool):
        return _kept(compute(replace(node, convolution=shortened), operands, output), precision)
    return compute(shortened, operands, output)


def _compute_parts(node: Fused, inputs: list[Value], output: Tensor, precision: Precision) -> Value:
    """The last part's result; what lies between has the bits that it would have in memory."""
    made = dict(zip(node.inputs, inputs, strict=True))
    *earlier, last = node.parts
    for part, tensor in zip(earlier, node.between, strict=True):
        value = _compute(part, [made[name] for name in part.inputs], tensor, precision)
        made[part.output] = _kept(value, precision)
    return _compute(last, [made[name] for name in last.inputs], output, precision)


def _kept(value: Value, precision: Precision) -> Value:
    """A tensor as it stands in memory."""
    if value.scale is not None or precision not in _STORED:
        return value
    return Value(rounded(value.numbers, precision))
