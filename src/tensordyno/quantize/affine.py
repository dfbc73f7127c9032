"""Folds batch norm, and other scales and shifts of channels, into the layer before them.

a (W x + b) + c for each output channel is a layer with the weights a W and the bias a b + c
(Jacob et al. 2018, section 3.2; here for any constant a and c, not only those of a batch norm).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.layers import bias_of, channel_axis, has_weights, obstacle, outputs_of
from tensordyno.quantize.wiring import Wiring, add_constant, attribute, fresh, names_in, replace_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Doubles = NDArray[np.float64]
Affine = tuple[Doubles, Doubles]  # a and c of a x + c, each (channels,)


def fold_affine(graph: "GraphProto") -> None:
    """Fold what follows each Conv and Gemm, where nothing else reads the value between.

    Nodes must bear different names.
    """
    wiring, taken, gone = Wiring(graph), names_in(graph), set[str]()
    for node in graph.node:
        if node.op_type == "MatMul" or not has_weights(node, wiring) or obstacle(node, wiring):
            continue
        steps = []
        while (reader := wiring.sole_reader(node.output[0])) is not None:
            step = _affine(reader, node, wiring)
            if step is None:
                break
            steps.append(step)
            gone.add(reader.name)
            node.output[0] = reader.output[0]
        if steps:
            _fold(graph, node, wiring, steps, taken)
    replace_nodes(graph, [node for node in graph.node if node.name not in gone])


def _fold(
    graph: "GraphProto", node: "NodeProto", wiring: Wiring, steps: Sequence[Affine], taken: set[str]
) -> None:
    weights = wiring.array(node.input[1]).astype(np.float64)
    bias = wiring.array(bias_of(node)) if bias_of(node) else np.zeros(outputs_of(node, wiring))
    along = [1] * weights.ndim
    along[channel_axis(node)] = -1
    for scale, shift in steps:
        weights = weights * scale.reshape(along)
        bias = bias * scale + shift
    name = fresh(f"{node.input[1]}_folded", taken)
    node.input[1] = add_constant(graph, name, weights.astype(np.float32))
    folded = add_constant(graph, fresh(f"{node.name}_bias_folded", taken), bias.astype(np.float32))
    del node.input[2:]
    node.input.append(folded)


def _affine(node: "NodeProto", layer: "NodeProto", wiring: Wiring) -> Affine | None:
    """The scale and shift that a node applies to the channels of a layer's output; None: something else."""
    channels = outputs_of(layer, wiring)
    if node.op_type == "BatchNormalization":
        return _batch_norm(node, wiring)
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    first = not wiring.is_constant(node.input[0])
    rank = len(wiring.constants[layer.input[1]].dims)
    value = _by_channel(node.input[1 if first else 0], rank, channels, wiring)
    if value is None or (node.op_type == "Div" and not (first and value.all())):
        return None
    ones, zeros = np.ones(channels), np.zeros(channels)
    if node.op_type == "Sub":
        return (ones, -value) if first else (-ones, value)
    if node.op_type == "Add":
        return ones, value
    return (value if node.op_type == "Mul" else 1 / value), zeros


def _batch_norm(node: "NodeProto", wiring: Wiring) -> Affine | None:
    if attribute(node, "training_mode", 0) or not all(map(wiring.is_float_constant, node.input[1:5])):
        return None
    scale, shift, mean, variance = (wiring.array(name).astype(np.float64) for name in node.input[1:5])
    slope = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return slope, shift - mean * slope


def _by_channel(name: str, rank: int, channels: int, wiring: Wiring) -> Doubles | None:
    """A constant as one number for each channel (axis 1 of `rank` axes); None when it is not that."""
    if not wiring.is_float_constant(name):
        return None
    value = wiring.array(name).astype(np.float64)
    shape = (1,) * (rank - value.ndim) + value.shape
    if value.size != 1 and shape != (1, channels) + (1,) * (rank - 2):
        return None
    return np.broadcast_to(value.ravel(), channels)
