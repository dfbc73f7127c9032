"""Brings the spellings that exporters use for the same operation to one."""

import math
from typing import TYPE_CHECKING

import numpy as np

from tensordyno.quantize.wiring import (
    Shape,
    Wiring,
    add_constant,
    attribute,
    fresh,
    names_in,
    reads,
    replace_nodes,
    shapes_of,
)

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_IMAGE_AXES = (2, 3)  # height, width of (N, C, H, W)


def drop_identities(graph: "GraphProto") -> None:
    """Remove Identity and Dropout, which do nothing in evaluation."""
    wiring = Wiring(graph)
    fixed = wiring.outputs.union(
        *({*reads(node)} - {*node.input} for node in graph.node)
    )  # subgraphs read them
    instead: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = instead.get(name, name)
        idle = node.op_type in ("Identity", "Dropout") and fixed.isdisjoint(node.output)
        if idle and not any(wiring.consumers[mask] for mask in node.output[1:]):
            instead[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def plain_reshapes(model: "ModelProto") -> None:
    """Give a Reshape that leaves the batch axis alone a constant target.

    Exporters compute it from the input's shape, and engines then keep float32 nodes around it.
    """
    graph, shapes, wiring = model.graph, shapes_of(model), Wiring(model.graph)
    taken = names_in(graph)
    for node in graph.node:
        if node.op_type == "Reshape" and not wiring.is_constant(node.input[1]):
            target = _target(shapes.get(node.input[0]), shapes.get(node.output[0]))
            if target is not None:
                name = fresh(f"{node.output[0]}_shape", taken)
                node.input[1] = add_constant(graph, name, np.array(target, np.int64))


def _target(source: Shape | None, result: Shape | None) -> tuple[int, ...] | None:
    """Target of a Reshape from (N, ...) to (N, ...); None when N may not stay what it is."""
    if not source or not result or not all(isinstance(axis, int) for axis in source[1:]):
        return None
    an_image = math.prod(int(axis or 0) for axis in source[1:])
    rest = [axis if isinstance(axis, int) else -1 for axis in result[1:]]
    if rest.count(-1) == 1 and result[0] == source[0]:
        rest[rest.index(-1)] = an_image // -math.prod(rest)
    return (-1, *rest) if math.prod(rest) == an_image and -1 not in rest else None


def plain_pools(model: "ModelProto") -> None:
    """Write a mean over the whole image as GlobalAveragePool, for which engines have INT8 kernels."""
    graph, shapes, wiring = model.graph, shapes_of(model), Wiring(model.graph)
    taken = names_in(graph)
    nodes = []
    for node in graph.node:
        if not _is_image_mean(node, shapes.get(node.input[0] if node.input else ""), wiring):
            nodes.append(node)
        elif node.op_type == "ReduceMean" and not attribute(node, "keepdims", 1):
            pooled = fresh(f"{node.output[0]}_pooled", taken)
            nodes.append(_node("GlobalAveragePool", node.input[0], pooled))
            nodes.append(_node("Flatten", pooled, node.output[0]))
        else:
            nodes.append(_node("GlobalAveragePool", node.input[0], node.output[0]))
    replace_nodes(graph, nodes)


def _is_image_mean(node: "NodeProto", source: Shape | None, wiring: Wiring) -> bool:
    if source is None or len(source) != 4:
        return False
    if node.op_type == "ReduceMean":
        axes = attribute(node, "axes")
        if len(node.input) > 1 and wiring.is_constant(node.input[1]):
            axes = wiring.array(node.input[1]).tolist()
        return axes is not None and sorted(axis % 4 for axis in axes) == list(_IMAGE_AXES)
    if node.op_type == "AveragePool":
        whole = attribute(node, "kernel_shape") == [*source[2:]]
        return whole and not any(attribute(node, "pads", ())) and attribute(node, "auto_pad", b"") in _NO_PAD
    return False


_NO_PAD = (b"", b"NOTSET", b"VALID")


def _node(kind: str, source: str, result: str) -> "NodeProto":
    from onnx import helper

    return helper.make_node(kind, [source], [result], name=f"{kind}_{result}")
