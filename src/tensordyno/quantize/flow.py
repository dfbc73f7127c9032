"""How far INT8 reaches in a graph when some layers are in INT8: the one rule that places and writes Q/DQ.

A layer, or the sum of two branches, takes the Relu or Clip behind it along: the value between them is
not rounded. The result of a convolution is rounded even where a float32 node reads it (ONNX Runtime has
no INT8 convolution with a float32 result); that of a Gemm or MatMul only where an INT8 node reads it.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from tensordyno.quantize.averages import is_plain_average
from tensordyno.quantize.layers import has_weights
from tensordyno.quantize.rectifiers import RECTIFIERS
from tensordyno.quantize.wiring import Wiring, activations

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# They give back numbers they were given: results are on the same steps.
MOVING = frozenset(
    {"MaxPool", "Concat", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Relu", "Clip"}
)
_ROUNDING = frozenset({"Add", "AveragePool", "GlobalAveragePool"})
_VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})  # they touch no number
_SHAPES = frozenset({"Shape", "Size"})


class Flow:
    """Which nodes compute in INT8, and which tensors are rounded for them, given the layers in INT8.

    Nodes are named; `wiring` is the graph's.
    """

    def __init__(self, graph: "GraphProto", layers: Collection[str]) -> None:
        self.wiring = Wiring(graph)
        self._nodes = list(graph.node)
        self._layers = set(layers)
        self._taken = {
            node.output[0]: activation
            for node in self._nodes
            if (activation := self._activation_behind(node)) is not None
        }
        self._behind = {activation.name for activation in self._taken.values()}
        ahead = [node for node in self._nodes if node.name not in self._behind]
        self._source = {self.result(node): node for node in ahead}
        self.int8 = self._settle()

    def activation(self, node: "NodeProto") -> "NodeProto | None":
        """The Relu or Clip that a node takes along."""
        return self._taken.get(node.output[0]) if node.output else None

    def result(self, node: "NodeProto") -> str:
        """The tensor a node makes together with the activation it takes along."""
        activation = self.activation(node)
        return activation.output[0] if activation is not None else node.output[0]

    def is_rounded(self, tensor: str) -> bool:
        """Whether a tensor gets Q/DQ."""
        readers = self.wiring.consumers[tensor]
        if any(node.name in self._layers for node in readers):
            return True
        if not self.is_from_int8(tensor):
            return False
        may_stay = self._source[tensor].op_type in ("Gemm", "MatMul") or tensor in self.wiring.outputs
        return not may_stay or any(node.name in self.int8 for node in readers)

    def reads_rounded(self, node: "NodeProto", tensor: str) -> bool:
        """Whether a node reads the rounded value of a tensor that has one.

        An INT8 result has no other; what float32 made is rounded for INT8 nodes only.
        """
        return self.is_rounded(tensor) and (self.is_from_int8(tensor) or node.name in self.int8)

    def is_from_int8(self, tensor: str) -> bool:
        """Whether an INT8 node makes the tensor."""
        source = self._source.get(tensor)
        return source is not None and source.name in self.int8

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The rounded tensors, in graph order; those that one operation only moves share a group."""
        group_of = {name: [name] for name in self._tensors() if self.is_rounded(name)}
        for node in self._nodes:
            if node.name in self.int8 and node.op_type in MOVING:
                first, *others = (
                    group_of[name] for name in (*activations(node, self.wiring), self.result(node))
                )
                for other in others:
                    if other is not first:
                        first.extend(other)
                        group_of.update(dict.fromkeys(other, first))
        distinct = {id(group): group for group in group_of.values()}
        order = {name: position for position, name in enumerate(group_of)}
        return tuple(tuple(sorted(group, key=order.__getitem__)) for group in distinct.values())

    def repeats(self) -> frozenset[str]:
        """The rounded tensors whose values another member of their group holds as well."""
        found: set[str] = set()
        for node in self._nodes:
            if node.name in self.int8 and node.op_type in MOVING:
                joins = node.op_type == "Concat"
                found.update(activations(node, self.wiring) if joins else [self.result(node)])
        return frozenset(found)

    def left_in_float32(self, besides: Collection[str]) -> dict[str, int]:
        """The operations in float32 and how many there are of each, without those named, and without
        arithmetic on shapes.
        """
        along = (self.activation(node) for node in self._nodes if node.name in self.int8)
        done = {*self.int8, *besides, *(node.name for node in along if node is not None)}
        shapes: set[str] = set()
        counts: Counter[str] = Counter()
        for node in self._nodes:
            inputs = activations(node, self.wiring)
            if node.op_type in _SHAPES or (inputs and shapes.issuperset(inputs)):
                shapes.update(node.output)
            elif node.name not in done and node.op_type not in _VIEWS:
                counts[node.op_type] += 1
        return dict(counts.most_common())

    def _settle(self) -> frozenset[str]:
        """The largest set of nodes that agree: the layers, and what passes INT8 on between them."""
        found = {node.name: node for node in self._nodes if node.name in self._layers or self._can_pass(node)}
        while True:
            stay = {
                name: node for name, node in found.items() if name in self._layers or self._fits(node, found)
            }
            if len(stay) == len(found):
                return frozenset(found)
            found = stay

    def _fits(self, node: "NodeProto", int8: Collection[str]) -> bool:
        """Whether all that a passing node reads is INT8, and its result is wanted so."""
        wanted = any(reader.name in int8 for reader in self.wiring.consumers[self.result(node)])
        if not wanted and node.op_type != "MaxPool":  # a quarter of the bytes is worth it in itself
            return False
        return all(self._is_int8(tensor, int8) for tensor in activations(node, self.wiring))

    def _is_int8(self, tensor: str, int8: Collection[str]) -> bool:
        source = self._source.get(tensor)
        by_layer = any(reader.name in self._layers for reader in self.wiring.consumers[tensor])
        return by_layer or (source is not None and source.name in int8)

    def _can_pass(self, node: "NodeProto") -> bool:
        if node.op_type not in MOVING | _ROUNDING or node.name in self._behind or len(node.output) != 1:
            return False
        if self.result(node) in self.wiring.outputs or not is_plain_average(node):
            return False
        computed = len(activations(node, self.wiring))
        wanted = {"Add": 2, "Concat": len(node.input)}.get(node.op_type, 1)
        return computed == wanted

    def _activation_behind(self, node: "NodeProto") -> "NodeProto | None":
        if not (has_weights(node, self.wiring) or node.op_type == "Add"):
            return None
        reader = self.wiring.sole_reader(node.output[0])
        if reader is None or reader.op_type not in RECTIFIERS:
            return None
        return reader if len(activations(reader, self.wiring)) == 1 else None

    def _tensors(self) -> Iterator[str]:
        """Every tensor that may be rounded, in graph order."""
        seen = set()
        for node in self._nodes:
            for name in (*activations(node, self.wiring), *node.output):
                if name not in seen:
                    seen.add(name)
                    yield name
