"""Zeros around an image go into the padding of the window that reads them."""

from dataclasses import replace

from tensordyno.forge.graph import AveragePool, Convolution, Edges, Graph, Node, Pad
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Let convolutions and average pools do the padding in front of them.

    An average pool then counts the zeros, which is right if it counted its own or had none. One whose last
    window reaches over the edge (`ceil`) is left alone: which windows there are depends on whose zeros they
    see.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        source = rewriting.producer(node.inputs[0])
        if isinstance(source, Pad) and _same_numbers(source, rewriting):
            taken = _taken(node, source, rewriting)
            if taken is not None:
                rewriting.replace(node, taken)
    return rewriting.result()


def _same_numbers(pad: Pad, rewriting: Rewriting) -> bool:
    return rewriting.steps(pad.inputs[0]) == rewriting.steps(pad.output)


def _taken(node: Node, pad: Pad, rewriting: Rewriting) -> Node | None:
    """The node with the padding in its window, reading the bare image; None where that is not the same."""
    inputs = (pad.inputs[0], *node.inputs[1:])
    if isinstance(node, Convolution):
        return replace(node, inputs=inputs, pads=_sum(node.pads, pad.pads))
    if not isinstance(node, AveragePool) or (any(node.pads) and not node.count_pads):
        return None
    if node.ceil and not _fits(node, rewriting.tensor(pad.output).shape):
        return None
    return replace(node, inputs=inputs, pads=_sum(node.pads, pad.pads), count_pads=True, ceil=False)


def _fits(pool: AveragePool, shape: tuple[int, ...]) -> bool:
    """Whether the last window ends at the edge, so that `ceil` changes nothing."""
    rests = (
        (size + pool.pads[axis] + pool.pads[axis + 2] - pool.kernel[axis]) % pool.stride[axis]
        for axis, size in enumerate(shape[1:])
    )
    return not any(rests)


def _sum(first: Edges, second: Edges) -> Edges:
    top, left, bottom, right = (a + b for a, b in zip(first, second, strict=True))
    return top, left, bottom, right
