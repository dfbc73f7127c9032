"""Nodes whose result nobody reads are left out."""

from tensordyno.forge.graph import Graph
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Leave out, from the last node to the first, what neither a node that stays nor the user reads."""
    rewriting = Rewriting(graph)
    for node in reversed(graph.nodes):
        if node.output != graph.output and not rewriting.readers(node.output):
            rewriting.remove(node)
    return rewriting.result()
