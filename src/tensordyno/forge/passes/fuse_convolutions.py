"""Convolutions that follow each other become one node, so that less between them goes through memory."""

from collections.abc import Callable, Iterator

from tensordyno.forge.graph import Convolution, Fused, Graph
from tensordyno.forge.passes.rewriting import Rewriting

Parts = tuple[Convolution, ...]


def run(graph: Graph, takes: Callable[[Fused], bool] = lambda fused: True) -> Graph:
    """Make one node of each group of convolutions that `takes` wants as one; unless told, of all.

    A group ends in a 1 x 1 convolution of stride 1. All of it is of integers, and what lies between its parts
    int8, or all of it is real. Nobody else reads what lies between, and no two parts read the same tensor.
    The node stands where the last of its parts stood. Not a part of `simplify`: only some kernels compute
    such nodes.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Convolution) and _is_pointwise(node) and node.stride == (1, 1):
            _fuse(node, rewriting, takes)
    return rewriting.result()


def _fuse(last: Convolution, rewriting: Rewriting, takes: Callable[[Fused], bool]) -> None:
    """The first pattern that fits and is wanted."""
    for parts in _groups(last, rewriting):
        fused = _fused(parts, rewriting)
        if takes(fused):
            for part in parts[:-1]:
                rewriting.remove(part)
            rewriting.replace(last, fused)
            return


def _groups(last: Convolution, rewriting: Rewriting) -> Iterator[Parts]:
    """What could be fused with a convolution: all patterns that fit, the one to be preferred first."""
    if not _is_plain(last, rewriting):
        return
    for pattern in PATTERNS:
        parts = pattern(last, rewriting)
        read = [name for part in (*parts, last) for name in part.inputs]
        if parts and len(read) == len(set(read)):
            yield (*parts, last)


def both(last: Convolution, rewriting: Rewriting) -> Parts:
    """The 3 x 3 convolution whose result is read, and the one that makes the residual."""
    before, beside = pair(last, rewriting), shortcut(last, rewriting)
    return (*before, *beside) if before and beside else ()


def pair(last: Convolution, rewriting: Rewriting) -> Parts:
    """The 3 x 3 convolution whose result is read, of stride 1 or 2 and with a pixel of padding all around."""
    found = _only_for(last, last.inputs[0], rewriting)
    if found is None or found.weight.shape[2:] != (3, 3) or found.pads != (1, 1, 1, 1):
        return ()
    return (found,) if found.stride in ((1, 1), (2, 2)) else ()


def shortcut(last: Convolution, rewriting: Rewriting) -> Parts:
    """The 1 x 1 convolution, of any stride, that makes the residual."""
    found = _only_for(last, last.inputs[1], rewriting) if last.has_residual else None
    return (found,) if found is not None and _is_pointwise(found) else ()


PATTERNS = (both, shortcut, pair)  # in the order of preference


def _only_for(reader: Convolution, name: str, rewriting: Rewriting) -> Convolution | None:
    """The convolution of the reader's kind that makes a tensor for it only, if it has no residual itself."""
    found, tensor = rewriting.producer(name), rewriting.tensor(name)
    if not isinstance(found, Convolution) or found.has_residual or not _is_plain(found, rewriting):
        return None
    kinds = {_multiplies_integers(node, rewriting) for node in (found, reader)} | {tensor.scale is not None}
    fits = len(kinds) == 1 and not tensor.unsigned and rewriting.is_read_only_by(name, reader)
    return found if fits else None


def _is_plain(node: Convolution, rewriting: Rewriting) -> bool:
    """Whether image and weights are both of integers or both real, without groups or holes in its kernel.

    Integer weights of a real image are real.
    """
    image = rewriting.tensor(node.inputs[0])
    fits = image.scale is None or node.weight_scale is not None
    return fits and len(image.shape) == 3 and (node.groups, node.dilation) == (1, (1, 1))


def _multiplies_integers(node: Convolution, rewriting: Rewriting) -> bool:
    return rewriting.tensor(node.inputs[0]).scale is not None


def _is_pointwise(node: Convolution) -> bool:
    return node.weight.shape[2:] == (1, 1) and not any(node.pads)


def _fused(parts: Parts, rewriting: Rewriting) -> Fused:
    """The node, by the name of its last part."""
    *earlier, last = parts
    between = tuple(rewriting.tensor(part.output) for part in earlier)
    made = {part.output for part in earlier}
    return Fused(
        name=last.name,
        inputs=tuple(name for part in parts for name in part.inputs if name not in made),
        output=last.output,
        parts=parts,
        between=between,
    )
