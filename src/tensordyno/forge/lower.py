"""From a simplified graph to a program: operations in order, and where in memory their tensors lie."""

from collections.abc import Iterator
from dataclasses import replace

from tensordyno.errors import Unsupported
from tensordyno.forge.graph import (
    Concat,
    Convolution,
    Graph,
    Node,
    Quantize,
    Reshape,
)
from tensordyno.forge.parts import layers_of
from tensordyno.forge.placement import Placement, place, reshaped
from tensordyno.forge.program import Format, Operation, Program, View
from tensordyno.vocabulary import Precision

_REAL = {  # arithmetic and storage of what has no scale, by the precision of the engine
    Precision.INT8: (Precision.FP16, Format.FP16),
    Precision.FP16: (Precision.FP16, Format.FP16),
    Precision.BF16: (Precision.BF16, Format.BF16),
    Precision.TF32: (Precision.TF32, Format.FP32),
    Precision.FP32: (Precision.FP32, Format.FP32),
}


def lower(graph: Graph, precision: Precision) -> Program:
    """The program of an engine of that precision; it computes what `evaluate` says of the graph.

    An image that is only read to be rounded goes in as integers. What a concatenation cannot have made in
    place is copied into it by an operation: a Concat of one input, whose output is the slot. Reshapes are no
    operations, unless they round or make the logits of the image itself: those are such copies as well.
    Raises Unsupported for a precision or a Reshape that forge does not have, and for logits that are integers
    or the image itself.
    """
    if precision not in _REAL:
        raise Unsupported(f"Forge does not compute in {precision}.")
    arithmetic, storage = _REAL[precision]
    graph = _of_rounded_image(graph)
    if graph.tensor(graph.output).scale is not None or graph.output == graph.input:
        raise Unsupported(f"Forge makes logits of real numbers; '{graph.output}' is not made, or rounded.")
    placed = place(graph, storage)
    return Program(
        input=placed.views[graph.input],
        output=placed.views[graph.output],
        operations=tuple(each for node in graph.nodes for each in _operations(node, placed, arithmetic)),
        storages=placed.storages,
    )


def _of_rounded_image(graph: Graph) -> Graph:
    """The graph without the Quantize that is the only reader of its image."""
    readers = graph.consumers(graph.input)
    if len(readers) != 1 or not isinstance(readers[0], Quantize):
        return graph
    others = tuple(node for node in graph.nodes if node is not readers[0])
    return replace(graph, input=readers[0].output).with_nodes(others)


def _operations(node: Node, placed: Placement, arithmetic: Precision) -> Iterator[Operation]:
    """What is left to do of a node: nothing, itself, or copies."""
    inputs = tuple(placed.views[name] for name in node.inputs)
    output = placed.views[node.output]
    if isinstance(node, Concat):
        yield from _copies(node, inputs, output, arithmetic)
    elif isinstance(node, Reshape):
        shape = (output.channels, output.height, output.width)
        yield from _copies(node, (reshaped(inputs[0], shape),), output, arithmetic)
    else:
        product = layers_of(node)[0]  # of fused convolutions all multiply integers, or none
        is_integer = isinstance(product, Convolution) and _multiplies_integers(product, inputs[0])
        yield Operation(
            node=node,
            inputs=inputs,
            output=output,
            precision=Precision.INT8 if is_integer else arithmetic,
        )


def _copies(node: Node, inputs: tuple[View, ...], whole: View, arithmetic: Precision) -> Iterator[Operation]:
    """Copies of those inputs that do not stand in their places yet, side by side in `whole`."""
    first = whole.first
    for name, view in zip(node.inputs, inputs, strict=True):
        slot = replace(whole, channels=view.channels, first=first)
        first += view.channels
        if view != slot:
            copy = Concat(name=node.name, inputs=(name,), output=node.output)
            yield Operation(node=copy, inputs=(view,), output=slot, precision=arithmetic)


def _multiplies_integers(node: Convolution, image: View) -> bool:
    return image.scale is not None and node.weight_scale is not None
