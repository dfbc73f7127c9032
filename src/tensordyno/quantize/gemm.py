"""Writes fully connected layers as Gemm with plain weights and one bias for each output."""

from typing import TYPE_CHECKING

import numpy as np

from tensordyno.quantize.wiring import (
    Wiring,
    add_constant,
    attribute,
    fresh,
    names_in,
    replace_nodes,
    shapes_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def plain_gemms(model: "ModelProto") -> None:
    """MatMul of (N, K) by constant weights becomes Gemm; alpha and beta go into weights and bias."""
    graph, shapes, wiring = model.graph, shapes_of(model), Wiring(model.graph)
    taken = names_in(graph)
    nodes = []
    for node in graph.node:
        by_constant = len(node.input) > 1 and wiring.is_float_constant(node.input[1])
        if by_constant and node.op_type == "MatMul":
            ranks = len(shapes.get(node.input[0], ())), len(wiring.constants[node.input[1]].dims)
            nodes.append(_gemm(node) if ranks == (2, 2) else node)
        else:
            if by_constant and node.op_type == "Gemm":
                _plain(node, wiring, model, taken)
            nodes.append(node)
    replace_nodes(graph, nodes)


def _gemm(node: "NodeProto") -> "NodeProto":
    from onnx import helper

    return helper.make_node("Gemm", node.input, node.output, name=node.name)


def _plain(node: "NodeProto", wiring: Wiring, model: "ModelProto", taken: set[str]) -> None:
    """Fold alpha, beta and the shape of the bias, where the bias is constant."""
    has_bias = len(node.input) > 2 and node.input[2] != ""
    if has_bias and not wiring.is_float_constant(node.input[2]):
        return
    alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    weights = wiring.array(node.input[1])
    outputs = weights.shape[0 if attribute(node, "transB", 0) else 1]
    if alpha != 1.0:
        name = fresh(f"{node.input[1]}_scaled", taken)
        node.input[1] = add_constant(model.graph, name, (weights * np.float32(alpha)).astype(np.float32))
    if has_bias:
        bias = wiring.array(node.input[2])
        if bias.size not in (1, outputs) or (bias.size > 1 and bias.shape[-1] != outputs):
            return
        if beta != 1.0 or bias.shape != (outputs,):
            plain = np.broadcast_to(bias.ravel() * np.float32(beta), outputs).astype(np.float32)
            node.input[2] = add_constant(model.graph, fresh(f"{node.input[2]}_plain", taken), plain)
    kept = [found for found in node.attribute if found.name not in ("alpha", "beta")]
    del node.attribute[:]
    node.attribute.extend(kept)
