"""Operations that do nothing are left out."""

from dataclasses import replace

import numpy as np

from tensordyno.forge.graph import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    GlobalAveragePool,
    Graph,
    MaxPool,
    Node,
    Pad,
    Reshape,
)
from tensordyno.forge.passes.clamps import is_open
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Leave out reshapes to the same shape, pads of nothing, 1 x 1 pools, open clamps and their like.

    An operation that changes the scale, or makes real numbers of int8, does something.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if _does_nothing(node, rewriting):
            _leave_out(node, rewriting)
    return rewriting.result()


def _does_nothing(node: Node, rewriting: Rewriting) -> bool:
    source = rewriting.tensor(node.inputs[0])
    if replace(source, name=node.output) != rewriting.tensor(node.output):
        return False
    does_nothing = False
    match node:
        case Reshape():
            does_nothing = True
        case Pad():
            does_nothing = not any(node.pads)
        case MaxPool() | AveragePool():  # the shape is the same, so the stride is 1
            does_nothing = node.kernel == (1, 1) and not any(node.pads)
        case GlobalAveragePool():
            does_nothing = source.shape[1:] == (1, 1)
        case Concat():
            does_nothing = len(node.inputs) == 1
        case Activation():
            does_nothing = is_open(node.clamp)
        case Affine():
            does_nothing = bool(np.all(node.factor == 1) and np.all(node.offset == 0))
    return does_nothing


def _leave_out(node: Node, rewriting: Rewriting) -> None:
    """Readers read what the node reads; what makes the logits keeps their name."""
    source = node.inputs[0]
    if node.output != rewriting.output:
        rewriting.remove(node)
        rewriting.redirect(node.output, source)
        return
    producer = rewriting.producer(source)
    if producer is None:
        return  # the image itself is the answer
    rewriting.remove(node)
    rewriting.replace(producer, replace(producer, output=node.output))
    rewriting.redirect(source, node.output)
