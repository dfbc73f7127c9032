"""What each layer has to compute and to move at least: the two sides of a roofline."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tensordyno.forge.graph import (
    AveragePool,
    Concat,
    Convolution,
    ConvolutionMaxPool,
    Fused,
    Graph,
    MaxPool,
    Node,
    Reshape,
)
from tensordyno.forge.kernels.reference_windows import extent, window_count
from tensordyno.forge.parts import layers_of

Shape = tuple[int, ...]

_FREE = (Concat, Reshape)  # their parts are written in place


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One operation over one image. Bytes are those of a format in which every element is equally wide."""

    name: str  # of the node
    kind: str  # of the operation: "Convolution", ...
    inputs: tuple[Shape, ...]  # a residual's last
    output: Shape
    macs: int  # products that are summed
    read_bytes: int
    written_bytes: int
    weight_bytes: int  # read once a batch; without biases and scales

    def moved_bytes(self, batch_size: int) -> float:
        """Bytes for one image of a batch: read, written, and the image's share of the weights."""
        return self.read_bytes + self.written_bytes + self.weight_bytes / batch_size

    def seconds(self, macs_per_s: float, bytes_per_s: float, batch_size: int) -> float:
        """The least time for one image (Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009).

        It is the longer one of the time to compute and the time to move.
        """
        return max(self.macs / macs_per_s, self.moved_bytes(batch_size) / bytes_per_s)


def layer_table(graph: Graph, element_bytes: int = 1) -> tuple[LayerCost, ...]:
    """The cost of every node, in order; of a graph from `simplify`, of every kernel.

    A convolution reads its image, its residual and its weights once and writes its result once; bias,
    activation and rounding are part of it. Any other operation reads what it is given and writes what it
    makes; concatenations and reshapes move nothing. A window that is smaller than its stride reads only what
    it looks at: a 1 x 1 convolution of stride 2 one pixel in four. What lies between layers that were fused
    is not moved.
    """
    return tuple(_cost(node, graph, element_bytes) for node in graph.nodes)


def _cost(node: Node, graph: Graph, element_bytes: int) -> LayerCost:
    layers, between = layers_of(node), _between(node, graph)

    def shape(name: str) -> Shape:
        return between[name] if name in between else graph.tensor(name).shape

    moves = not isinstance(node, _FREE)
    read = sum(
        elements
        for layer in layers
        for name, elements in zip(layer.inputs, _elements_read(layer, shape), strict=True)
        if moves and name not in between
    )
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    return LayerCost(
        name=node.name,
        kind=type(node).__name__,
        inputs=tuple(map(shape, node.inputs)),
        output=shape(node.output),
        macs=sum(math.prod(shape(each.output)) * math.prod(each.weight.shape[1:]) for each in convolutions),
        read_bytes=read * element_bytes,
        written_bytes=math.prod(shape(node.output)) * moves * element_bytes,
        weight_bytes=sum(each.weight.size for each in convolutions) * element_bytes,
    )


def _between(node: Node, graph: Graph) -> dict[str, Shape]:
    """Shapes of what is made inside of a node, by name."""
    if isinstance(node, Fused):
        return {tensor.name: tensor.shape for tensor in node.between}
    if not isinstance(node, ConvolutionMaxPool):
        return {}
    one = node.convolution
    (top, left, bottom, right), (_, height, width) = one.pads, graph.tensor(node.inputs[0]).shape
    spans = extent((one.weight.shape[2], one.weight.shape[3]), one.dilation)
    rows = window_count(height, spans[0], one.stride[0], (top, bottom))
    return {one.output: (len(one.weight), rows, window_count(width, spans[1], one.stride[1], (left, right)))}


def _elements_read(layer: Node, shape: Callable[[str], Shape]) -> list[int]:
    """Of each input."""
    image, *others = (math.prod(shape(name)) for name in layer.inputs)
    if isinstance(layer, Convolution):
        window = math.prod(layer.weight.shape[2:])
    elif isinstance(layer, MaxPool | AveragePool):
        window = math.prod(layer.kernel)
    else:
        return [image, *others]
    seen = shape(layer.inputs[0])[0] * math.prod(shape(layer.output)[1:]) * window
    return [min(image, seen), *others]
