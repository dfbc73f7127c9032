"""int8 weights over real numbers become float weights."""

from dataclasses import replace

import numpy as np

from tensordyno.forge.graph import Convolution, Graph
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Multiply int8 weights by their scales where the image is not int8: there are no integer sums there."""
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, Convolution) and rewriting.steps(node.inputs[0]) is None:
            _widen(node, rewriting)
    return rewriting.result()


def _widen(node: Convolution, rewriting: Rewriting) -> None:
    if node.weight_scale is not None:
        weight = node.weight.astype(np.float32) * node.weight_scale[:, None, None, None]
        rewriting.replace(node, replace(node, weight=weight, weight_scale=None))
