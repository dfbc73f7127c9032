"""Which tensors of a graph are never negative, whatever the image."""

from typing import TYPE_CHECKING

from tensordyno.quantize.flow import MOVING
from tensordyno.quantize.rectifiers import bounds_of
from tensordyno.quantize.wiring import Wiring, activations

if TYPE_CHECKING:
    from onnx import GraphProto

_ALWAYS = frozenset({"Sigmoid", "Softmax", "Abs", "Exp", "HardSigmoid", "Softplus", "Sqrt"})
# Of numbers that are not negative they make numbers that are not.
_KEEP = MOVING | {"Add", "Mul", "AveragePool", "GlobalAveragePool", "LRN"}


def never_negative(graph: "GraphProto") -> frozenset[str]:
    """The tensors whose values are 0 or more by the operations that make them."""
    wiring, found = Wiring(graph), set[str]()
    for node in graph.node:
        if node.op_type in ("Relu", "Clip"):
            sure = bounds_of(node, wiring)[0] >= 0
        else:
            inputs = activations(node, wiring)
            constants = len(inputs) < len(node.input) and node.op_type in ("Add", "Mul", "Concat")
            sure = node.op_type in _ALWAYS or (
                node.op_type in _KEEP and not constants and found.issuperset(inputs)
            )
        if sure:
            found.update(node.output)
    return frozenset(found)
