"""What forge compiles: a graph of image tensors and operations, immutable, one batch implied.

A tensor's shape leaves the batch out: (channels, height, width), or (features,) after flattening. A tensor
with a scale holds int8: its real values are `scale * integer`, zero point 0. Where it is `unsigned` it holds
uint8 instead, 0 to 255 at the same zero point: what other tools write for values that are never negative, and
int8 cannot hold the upper half of. A tensor without a scale holds real numbers, in whatever format the engine
is built for.

A convolution of int8 inputs computes, in this order and in float32 unless said otherwise:
    sum    = exact integer sum of products                                  (int32)
    value  = sum * (input scale * weight scale of the channel) + bias
    value += residual integer * residual scale                             (where it has one)
    value  = activation(value)
    output = clip(round half to even(value * (1 / output scale)), -128, 127)  (where the output has a scale)
             (an unsigned output: 0, 255)
It multiplies by the float32 reciprocal, as kernels do; ONNX Runtime divides, and differs by one where the
quotient lies within 1.8e-7 of its size of a half. Kernels may fold the factors: their oracle is
kernels/reference_folded.py.
Every other operation works on real values: it reads `scale * integer` and writes as in the last line. A
maximum over int8 whose output has the same scale therefore never rounds. A mean of integers is their exact
sum times float32(input scale / count / output scale), so that between equal scales halves are exact.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]  # of height and width
Edges = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value between two operations. `scale` None: real numbers; `unsigned`: 0 to 255, not -128 to 127."""

    name: str
    shape: tuple[int, ...]
    scale: float | None = None
    unsigned: bool = False  # never without a scale


@dataclass(frozen=True, slots=True)
class Clamp:
    """An activation that is a range: ReLU is (0, inf), ReLU6 (0, 6)."""

    low: float = 0.0
    high: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation. `inputs` are names of tensors, `output` is the one that it makes."""

    name: str  # of the ONNX node it came from, for messages
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Node):
    """Weights (out, in / groups, kernel height, kernel width): float32, or int8 with a scale a channel.

    `inputs` is (image,) or, with a residual, (image, residual) of the output's shape. A matrix product is one
    over an image of 1 x 1: its weights are (out, features, 1, 1), its tensors (features,) and (out,). int8
    weights of a real input stand for `weight_scale * integer`.
    """

    weight: Array
    weight_scale: NDArray[np.float32] | None = None  # (out,), of int8 weights
    bias: NDArray[np.float32] | None = None  # (out,), real
    stride: Pair = (1, 1)
    pads: Edges = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    clamp: Clamp | None = None

    @property
    def has_residual(self) -> bool:
        """Whether a second input is added before the activation."""
        return len(self.inputs) == 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(Node):
    """The maximum of each window; what lies outside the image does not count."""

    kernel: Pair
    stride: Pair
    pads: Edges = (0, 0, 0, 0)
    ceil: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionMaxPool(Node):
    """A convolution without residual, and the maximum of each window of its result.

    Both are whole nodes. What lies between them, `convolution.output`, has the steps of this node's output,
    or none like it, and is no tensor of the graph.
    """

    convolution: Convolution
    pool: MaxPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused(Node):
    """Convolutions that are computed as one operation, so that less goes through memory.

    All multiply integers, or none does. `parts` are whole nodes in order; the last one makes `output`.
    `between` are the tensors that the others make, in their order, each read by one later part: int8 with a
    scale, or real like the parts; they are no tensors of the graph. `inputs` are what parts read from
    outside, each once, in the order in which it is read first.
    """

    parts: tuple[Convolution, ...]
    between: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool(Node):
    """The mean of each window. `count_pads`: padding counts as zeros."""

    kernel: Pair
    stride: Pair
    pads: Edges = (0, 0, 0, 0)
    ceil: bool = False
    count_pads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool(Node):
    """The mean of each channel: (channels, 1, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Node):
    """The sum of two tensors of one shape."""

    clamp: Clamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Node):
    """Channels of all inputs, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation(Node):
    """A clamp by itself; passes fold it into what comes before."""

    clamp: Clamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine(Node):
    """value * factor + offset of each channel: a batch normalisation that nothing took in."""

    factor: NDArray[np.float32]
    offset: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalResponseNorm(Node):
    """value / (bias + alpha / size * sum of squares of `size` neighbouring channels) ** beta (ONNX's LRN)."""

    size: int
    alpha: float
    beta: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Node):
    """Zeros around the image."""

    pads: Edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Node):
    """The same values in another shape; their order is that of ONNX (channels first)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Node):
    """Over the features; `log`: its natural logarithm."""

    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize(Node):
    """Real numbers to int8 (or unsigned) of the output's scale; passes take it into what comes before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequantize(Node):
    """int8 to real numbers; passes take it into what comes after."""


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each finds its inputs made. One image tensor goes in, logits come out."""

    input: str
    output: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises KeyError."""
        return self.tensors[name]

    def producer(self, name: str) -> Node | None:
        """The node that makes a tensor; None for the input."""
        return next((node for node in self.nodes if node.output == name), None)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a tensor, in order; a node that reads it twice stands here once."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def with_nodes(self, nodes: Iterator[Node] | tuple[Node, ...], *tensors: Tensor) -> "Graph":
        """The graph with other nodes and some tensors replaced or added; it keeps what a node names."""
        found = tuple(nodes)
        named = {self.input, self.output}
        for node in found:
            named |= {*node.inputs, node.output}
        known = {**self.tensors, **{tensor.name: tensor for tensor in tensors}}
        kept = {name: tensor for name, tensor in known.items() if name in named}
        return replace(self, nodes=found, tensors=MappingProxyType(kept))
