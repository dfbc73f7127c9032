"""From the graph of a file to the one that kernels are chosen for: all passes, until nothing changes."""

from collections.abc import Callable
from functools import partial

from tensordyno.forge.graph import Graph
from tensordyno.forge.passes import (
    absorb_quantization,
    cancel_quantization,
    drop_dead,
    drop_identities,
    float_weights,
    fold_batch_norm,
    fuse_activation,
    fuse_residual,
    move_quantization,
    pad_into_window,
    raise_activation,
    reshape_to_image,
)

Pass = Callable[[Graph], Graph]


def simplify(graph: Graph, *, exact: bool = False) -> Graph:
    """The graph with everything folded and fused that can be.

    It computes what `graph` does. Real results differ by the rounding of float32. An int8 result may be one
    step off where value / scale lies within 1e-6 of a half: sums of integers round less than the sums of real
    numbers that a file asks for. One difference is larger and chosen: unless `exact`, a convolution does not
    round its own result to int8 before it adds the other branch of a residual block (`passes.fuse_residual`).
    """
    graph = _settle(graph, _passes(exact))
    return _settle(float_weights.run(graph), _passes(exact))


def _passes(exact: bool) -> tuple[Pass, ...]:
    """In the order in which each finds what the one before it made."""
    return (
        drop_dead.run,
        drop_identities.run,
        reshape_to_image.run,
        fold_batch_norm.run,
        cancel_quantization.run,
        move_quantization.run,
        cancel_quantization.run,
        absorb_quantization.run,
        raise_activation.run,
        fuse_activation.run,
        pad_into_window.run,
        partial(fuse_residual.run, exact=exact),
    )


def _settle(graph: Graph, passes: tuple[Pass, ...]) -> Graph:
    """Run all passes again and again until none changes anything."""
    while True:
        before = graph
        for one in passes:
            graph = one(graph)
        if graph is before:
            return graph
