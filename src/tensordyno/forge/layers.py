"""What each layer has to compute and to move at least: the two sides of a roofline."""

import math
from dataclasses import dataclass

from tensordyno.forge.graph import (
    AveragePool,
    Concat,
    Convolution,
    Graph,
    MaxPool,
    Node,
    Reshape,
)

_FREE = (Concat, Reshape)  # their parts are written in place


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One operation over one image. Bytes are those of a format in which every element is equally wide."""

    name: str  # of the node
    kind: str  # of the operation: "Convolution", ...
    inputs: tuple[tuple[int, ...], ...]  # shapes, the residual's last
    output: tuple[int, ...]
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
    it looks at: a 1 x 1 convolution of stride 2 one pixel in four.
    """
    return tuple(_cost(node, graph, element_bytes) for node in graph.nodes)


def _cost(node: Node, graph: Graph, element_bytes: int) -> LayerCost:
    inputs, output = (graph.tensor(name).shape for name in node.inputs), graph.tensor(node.output).shape
    shapes = tuple(inputs)
    elements = (
        (0, 0) if isinstance(node, _FREE) else (_elements_read(node, shapes, output), math.prod(output))
    )
    weight = node.weight if isinstance(node, Convolution) else None
    return LayerCost(
        name=node.name,
        kind=type(node).__name__,
        inputs=shapes,
        output=output,
        macs=0 if weight is None else math.prod(output) * math.prod(weight.shape[1:]),
        read_bytes=elements[0] * element_bytes,
        written_bytes=elements[1] * element_bytes,
        weight_bytes=0 if weight is None else weight.size * element_bytes,
    )


def _elements_read(node: Node, shapes: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
    image, *others = (math.prod(shape) for shape in shapes)
    if isinstance(node, Convolution):
        window = math.prod(node.weight.shape[2:])
    elif isinstance(node, MaxPool | AveragePool):
        window = math.prod(node.kernel)
    else:
        return image + sum(others)
    return min(image, shapes[0][0] * math.prod(output[1:]) * window) + sum(others)
