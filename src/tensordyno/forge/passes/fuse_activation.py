"""Clamps go into the convolution or sum before them, and changes of scale into the operation before them."""

from dataclasses import replace

from tensordyno.forge.graph import Activation, Add, Clamp, Concat, Convolution, Graph, MaxPool, Node
from tensordyno.forge.passes.clamps import is_open, on_steps, then
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Take each clamp into what comes before it, if nobody else reads what lies between.

    With int8 between, only where it is exact: if the clamp writes the same scale, and then on whole steps.
    An open clamp changes the scale and nothing else; a max-pool or concatenation whose result is not rounded
    (all of one scale) writes the new scale itself.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Activation):
            _fuse(node, rewriting)
    return rewriting.result()


def _fuse(activation: Activation, rewriting: Rewriting) -> None:
    before = rewriting.producer(activation.inputs[0])
    if before is None or not rewriting.is_read_only_by(before.output, activation):
        return
    fused = _fused(before, activation, rewriting)
    if fused is not None:
        rewriting.remove(activation)
        rewriting.replace(before, replace(fused, output=activation.output))


def _fused(before: Node, activation: Activation, rewriting: Rewriting) -> Node | None:
    if isinstance(before, Convolution | Add):
        clamp = _before_rounding(activation, rewriting)
        return None if clamp is None else replace(before, clamp=then(before.clamp, clamp))
    if isinstance(before, MaxPool | Concat) and is_open(activation.clamp):
        steps = {rewriting.steps(name) for name in (*before.inputs, before.output)}
        return before if len(steps) == 1 else None
    return None


def _before_rounding(activation: Activation, rewriting: Rewriting) -> Clamp | None:
    """The clamp as it is before the rounding between, if there is any; None where no clamp is the same."""
    between = rewriting.tensor(activation.inputs[0])
    if between.scale is None:
        return activation.clamp
    same = rewriting.steps(between.name) == rewriting.steps(activation.output)
    return on_steps(activation.clamp, between) if same else None
