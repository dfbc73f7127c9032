"""Sums of two branches go into the convolution that makes one of them."""

from dataclasses import replace

from tensordyno.forge.graph import Add, Convolution, Graph
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph, *, exact: bool = False) -> Graph:
    """Let a convolution add the other branch, where only the sum reads its result.

    Of two convolutions the later one does so: the other branch is there by then.

    A convolution whose result is rounded to int8 before it is added loses that rounding: the sum takes the
    real number. That is one rounding less than the file says and what OpenVINO does too. With `exact`, such a
    sum stays an operation of its own and the graph computes what the file says to the last bit.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Add) and len(set(node.inputs)) == 2:
            _fuse(node, rewriting, exact)
    return rewriting.result()


def _fuse(add: Add, rewriting: Rewriting, exact: bool) -> None:
    chosen: Convolution | None = None
    for name in add.inputs:
        found = _candidate(name, add, rewriting, exact)
        if found is not None and (chosen is None or rewriting.comes_before(chosen, found)):
            chosen = found
    if chosen is None:
        return
    other = next(name for name in add.inputs if name != chosen.output)
    rewriting.remove(chosen)
    inputs = (chosen.inputs[0], other)
    rewriting.replace(add, replace(chosen, inputs=inputs, output=add.output, clamp=add.clamp))


def _candidate(name: str, add: Add, rewriting: Rewriting, exact: bool) -> Convolution | None:
    """The convolution that makes a tensor, if it can take the sum in."""
    found = rewriting.producer(name)
    if not isinstance(found, Convolution) or found.has_residual or found.clamp is not None:
        return None
    if not rewriting.is_read_only_by(name, add) or (exact and rewriting.steps(name) is not None):
        return None
    return found
