"""Roundings that are done twice are done once."""

from tensordyno.forge.graph import Activation, Dequantize, Graph, Node, Quantize
from tensordyno.forge.passes.clamps import EVERYTHING
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Merge equal roundings of one tensor, and leave out a rounding of what is on those steps already.

    Rounding integers of one scale to another one is an Activation that lets everything through: it reads and
    writes int8.
    """
    rewriting = Rewriting(graph)
    seen: dict[tuple[object, ...], str] = {}
    for node in rewriting.nodes():
        if not isinstance(node, Quantize | Dequantize) or node.output == graph.output:
            continue
        key = (type(node), node.inputs, rewriting.steps(node.output))
        if key in seen and rewriting.producer(seen[key]) is not None:  # it was not left out itself
            _leave_out(node, seen[key], rewriting)
            continue
        seen[key] = node.output
        if isinstance(node, Quantize):
            _cancel(node, rewriting)
    return rewriting.result()


def _cancel(quantize: Quantize, rewriting: Rewriting) -> None:
    before = rewriting.producer(quantize.inputs[0])
    if not isinstance(before, Dequantize):
        return
    integers = before.inputs[0]
    if rewriting.steps(integers) == rewriting.steps(quantize.output):
        _leave_out(quantize, integers, rewriting)
    else:
        again = Activation(name=quantize.name, inputs=(integers,), output=quantize.output, clamp=EVERYTHING)
        rewriting.replace(quantize, again)


def _leave_out(node: Node, instead: str, rewriting: Rewriting) -> None:
    rewriting.remove(node)
    rewriting.redirect(node.output, instead)
