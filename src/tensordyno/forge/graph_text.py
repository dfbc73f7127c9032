"""A graph as plain values for JSON and a list of arrays, and back: types are named, nothing is executed."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tensordyno.forge import graph as graph_types
from tensordyno.forge.graph import Array, Graph, Node, Tensor

Store = Callable[[Array], int]  # takes an array, tells the number under which it is found again

_TYPES: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in vars(graph_types).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }
)


def graph_to_plain(graph: Graph, store: Store) -> dict[str, Any]:
    """What JSON can hold of a graph; arrays go to `store`, an equal one as often as it occurs."""
    return {
        "input": graph.input,
        "output": graph.output,
        "nodes": [_to_plain(node, store) for node in graph.nodes],
        "tensors": [_to_plain(tensor, store) for tensor in graph.tensors.values()],
    }


def graph_from_plain(plain: Any, arrays: Sequence[Array]) -> Graph:
    """The graph again, with these arrays. Raises ValueError for what `graph_to_plain` never makes."""
    try:
        nodes = [_from_plain(node, arrays) for node in plain["nodes"]]
        tensors = [_from_plain(tensor, arrays) for tensor in plain["tensors"]]
        if not all(isinstance(node, Node) for node in nodes):
            raise TypeError("not a node")
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            raise TypeError("not a tensor")
        return Graph(
            input=plain["input"],
            output=plain["output"],
            nodes=tuple(nodes),
            tensors=MappingProxyType({tensor.name: tensor for tensor in tensors}),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as wrong:
        raise ValueError(f"This is no graph: {wrong!r}.") from wrong


def _to_plain(value: Any, store: Store) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": store(value)}
    if dataclasses.is_dataclass(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {
            "type": type(value).__name__,
            **{name: _to_plain(held, store) for name, held in fields.items()},
        }
    if isinstance(value, tuple):
        return [_to_plain(each, store) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(float(value))}  # JSON has no infinity
    if isinstance(value, np.generic):
        return value.item()
    return value


def _from_plain(plain: Any, arrays: Sequence[Array]) -> Any:
    if isinstance(plain, list):
        return tuple(_from_plain(each, arrays) for each in plain)
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        return arrays[plain["array"]]
    if "number" in plain:
        return float(plain["number"])
    fields = {name: _from_plain(held, arrays) for name, held in plain.items() if name != "type"}
    return _TYPES[plain["type"]](**fields)
