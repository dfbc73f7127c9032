"""Which layers become one operation: those that some kernel for the target computes as one."""

from collections.abc import Callable

from tensordyno.forge.graph import Graph, Node
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.catalogue import has_kernel
from tensordyno.forge.lower import lower
from tensordyno.forge.parts import layers_of
from tensordyno.forge.passes import fuse_convolutions, fuse_stem
from tensordyno.forge.program import Operation, Program
from tensordyno.vocabulary import Precision


def fused_for(graph: Graph, precision: Precision, target: Target) -> Graph:
    """A graph from `simplify` with its layers fused as the target's kernels take them.

    Raises Unsupported like `lower`.
    """
    takes = _taken(lower(graph, precision), target)
    return fuse_convolutions.run(fuse_stem.run(graph, takes), takes)


def _taken(program: Program, target: Target) -> Callable[[Node], bool]:
    """Whether there is a kernel for a node made of layers of a program."""
    operations = {operation.node.output: operation for operation in program.operations}

    def takes(node: Node) -> bool:
        layers = [operations[layer.output] for layer in layers_of(node)]
        views = {
            name: view for layer in layers for name, view in zip(layer.node.inputs, layer.inputs, strict=True)
        }
        whole = Operation(
            node=node,
            inputs=tuple(views[name] for name in node.inputs),
            output=layers[-1].output,
            precision=layers[0].precision,
        )
        return has_kernel(whole, target)

    return takes
