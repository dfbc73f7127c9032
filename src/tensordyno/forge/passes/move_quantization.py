"""Rounding moves past what only picks and places numbers, so that these work on int8."""

from dataclasses import replace

from tensordyno.forge.graph import (
    Activation,
    Concat,
    Dequantize,
    Graph,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Reshape,
)
from tensordyno.forge.passes.clamps import is_on_steps
from tensordyno.forge.passes.rewriting import Rewriting

_PICKING = (MaxPool, Concat, Pad, Reshape)  # each result is one of the inputs, or zero


def run(graph: Graph) -> Graph:
    """Move Quantize up and Dequantize down past max-pools, concatenations, pads, reshapes and clamps.

    Up: with q(v) = round(v / s), which is monotone and keeps zero, q(max(a, b)) = max(q(a), q(b)). Only where
    nobody else reads what is rounded. Down: integers of one scale stay integers of that scale; a clamp must
    end on whole steps for that.
    """
    rewriting = Rewriting(graph)
    for node in reversed(graph.nodes):
        if isinstance(node, Quantize):
            _move_up(node, rewriting)
    for node in rewriting.nodes():
        _move_down(node, rewriting)
    return rewriting.result()


def _move_up(quantize: Quantize, rewriting: Rewriting) -> None:
    picking = rewriting.producer(quantize.inputs[0])
    if not isinstance(picking, _PICKING) or not rewriting.is_read_only_by(picking.output, quantize):
        return
    if not all(_may_be_rounded(name, picking, rewriting) for name in picking.inputs):
        return
    names = {name: _rounded(name, quantize, picking, rewriting) for name in dict.fromkeys(picking.inputs)}
    rewriting.remove(quantize)
    inputs = tuple(names[name] for name in picking.inputs)
    rewriting.replace(picking, replace(picking, inputs=inputs, output=quantize.output))


def _may_be_rounded(name: str, picking: Node, rewriting: Rewriting) -> bool:
    return _integers(name, rewriting) is not None or rewriting.is_read_only_by(name, picking)


def _rounded(name: str, quantize: Quantize, picking: Node, rewriting: Rewriting) -> str:
    """What `picking` reads from now on: integers that are there already, of whatever scale, or new ones."""
    known = _integers(name, rewriting)
    if known is not None:
        return known
    made = rewriting.new_tensor(name, rewriting.steps(quantize.output), "int8")
    rewriting.insert(replace(quantize, inputs=(name,), output=made), picking, after=False)
    return made


def _move_down(node: Node, rewriting: Rewriting) -> None:
    if not isinstance(node, (*_PICKING, Activation)) or rewriting.steps(node.output) is not None:
        return
    found = [_integers(name, rewriting) for name in node.inputs]
    names = [name for name in found if name is not None]
    if len(names) < len(found) or len({rewriting.steps(name) for name in names}) > 1:
        return
    if isinstance(node, Activation) and not is_on_steps(node.clamp, rewriting.tensor(names[0])):
        return
    made = rewriting.new_tensor(node.output, rewriting.steps(names[0]), "int8")
    rewriting.replace(node, replace(node, inputs=tuple(names), output=made))
    placed = rewriting.producer(made)
    assert placed is not None
    widened = Dequantize(name=node.name, inputs=(made,), output=node.output)
    rewriting.insert(widened, placed, after=True)


def _integers(name: str, rewriting: Rewriting) -> str | None:
    """The int8 tensor that a tensor is, or that it was made of; None for real numbers."""
    if rewriting.steps(name) is not None:
        return name
    maker = rewriting.producer(name)
    return maker.inputs[0] if isinstance(maker, Dequantize) else None
