"""Sums of two branches go into the convolution that makes one of them."""

from collections.abc import Mapping
from dataclasses import replace

from tensordyno.forge.graph import Add, Convolution, Graph
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph, *, exact: bool = False) -> Graph:
    """Let a convolution add the other branch, where only the sum reads its result.

    Of two convolutions the one at the end of the longer branch does so, of a residual block the one that
    expands: what it reads has just been made, and a shortcut beside it can be computed along with it. Of two
    equally far from the image it is the later one.

    A convolution whose result is rounded to int8 before it is added loses that rounding: the sum takes the
    real number. That is one rounding less than the file says and what OpenVINO does too. With `exact`, such a
    sum stays an operation of its own and the graph computes what the file says to the last bit.
    """
    rewriting, depths = Rewriting(graph), _depths(graph)
    for node in rewriting.nodes():
        if isinstance(node, Add) and len(set(node.inputs)) == 2:
            _fuse(node, rewriting, depths, exact)
    return rewriting.result()


def _depths(graph: Graph) -> Mapping[str, int]:
    """Of each tensor the most operations that lie between it and the image."""
    depths = {graph.input: 0}
    for node in graph.nodes:
        depths[node.output] = 1 + max(depths[name] for name in node.inputs)
    return depths


def _fuse(add: Add, rewriting: Rewriting, depths: Mapping[str, int], exact: bool) -> None:
    chosen: Convolution | None = None
    for name in add.inputs:
        found = _candidate(name, add, rewriting, exact)
        if found is not None and (chosen is None or _is_later(found, chosen, rewriting, depths)):
            chosen = found
    if chosen is None:
        return
    other = next(name for name in add.inputs if name != chosen.output)
    rewriting.remove(chosen)
    inputs = (chosen.inputs[0], other)
    rewriting.replace(add, replace(chosen, inputs=inputs, output=add.output, clamp=add.clamp))


def _is_later(one: Convolution, other: Convolution, rewriting: Rewriting, depths: Mapping[str, int]) -> bool:
    """Whether a convolution ends a longer branch, or comes later at the end of one as long."""
    deep, other_deep = depths[one.output], depths[other.output]
    return deep > other_deep or (deep == other_deep and rewriting.comes_before(other, one))


def _candidate(name: str, add: Add, rewriting: Rewriting, exact: bool) -> Convolution | None:
    """The convolution that makes a tensor, if it can take the sum in."""
    found = rewriting.producer(name)
    if not isinstance(found, Convolution) or found.has_residual or found.clamp is not None:
        return None
    if not rewriting.is_read_only_by(name, add) or (exact and rewriting.steps(name) is not None):
        return None
    return found
