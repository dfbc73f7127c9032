"""Clamps move in front of what they commute with, next to the convolution that can take them in."""

from dataclasses import replace

from tensordyno.forge.graph import Activation, Add, Convolution, Graph, MaxPool, Node, Reshape
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Swap a clamp with the max-pools and reshapes before it.

    Clamps are monotone, so max(c(a), c(b)) = c(max(a, b)). Only where a convolution or sum is up that way,
    nobody else reads what lies between, and no scale changes.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Activation):
            _raise(node, rewriting)
    return rewriting.result()


def _raise(clamp: Activation, rewriting: Rewriting) -> None:
    path: list[Node] = []  # from the clamp upwards
    below: Node = clamp
    above = rewriting.producer(clamp.inputs[0])
    while isinstance(above, MaxPool | Reshape) and _passes(above, below, rewriting):
        path.append(above)
        below, above = above, rewriting.producer(above.inputs[0])
    if not path or not isinstance(above, Convolution | Add):
        return
    if not rewriting.is_read_only_by(above.output, below) or not _same_steps(clamp, rewriting):
        return
    made = rewriting.new_tensor(above.output, rewriting.steps(above.output), "clamped")
    rewriting.insert(replace(clamp, inputs=(above.output,), output=made), above, after=True)
    rewriting.remove(clamp)
    rewriting.reread(path[-1], above.output, made)
    last = rewriting.producer(path[0].output)
    assert last is not None
    rewriting.replace(last, replace(last, output=clamp.output))


def _passes(node: Node, below: Node, rewriting: Rewriting) -> bool:
    return rewriting.is_read_only_by(node.output, below) and _same_steps(node, rewriting)


def _same_steps(node: Node, rewriting: Rewriting) -> bool:
    return rewriting.steps(node.inputs[0]) == rewriting.steps(node.output)
