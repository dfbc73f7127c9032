"""Reads an ONNX classifier, FP32 or Q/DQ, as a forge graph."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tensordyno.forge import onnx_arithmetic, onnx_layers, onnx_rounding, onnx_shapes, onnx_windows
from tensordyno.forge.graph import Graph
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_source import open_source
from tensordyno.forge.onnx_walk import Reader, Walk

_READERS: Mapping[str, Reader] = {
    **onnx_layers.READERS,
    **onnx_windows.READERS,
    **onnx_arithmetic.READERS,
    **onnx_shapes.READERS,
    **onnx_rounding.READERS,
}


def read_graph(path: Path | bytes) -> Graph:
    """The graph of a file, or of the bytes of one: images (channels, height, width) to scores (classes,).

    Opset 9 to 23, symbolic or fixed batch, images (N, C, H, W) or (N, H, W, C): the graph always reads
    (C, H, W). Names of tensors are those of the file. Each operation becomes one node, in the file's order;
    passes fold them. QuantizeLinear and DequantizeLinear of activations are nodes, those of weights and
    biases are not: int8 weights keep their integers and scales, biases become real.
    Raises MissingPackage, or DataError: `missing-onnx`, `broken-onnx`, `not-a-classifier`, `old-opset`,
    `forge-unsupported` (names operations and nodes; those of unknown kinds before anything is read),
    `asymmetric-activations`, `asymmetric-weights`.
    """
    walk = Walk(open_source(path, _READERS))
    for operation in walk.source.operations:
        if operation.kind in ("Shape", "Size") and operation.input(0) not in walk.constants:
            _read_shape(walk, operation)
        elif walk.source.static.issuperset(operation.outputs):
            _fold(walk, operation)
        else:
            _READERS[operation.kind](walk, operation)
    return walk.finish()


def _fold(walk: Walk, operation: Operation) -> None:
    if not walk.constants.fold(operation):
        raise walk.refusal(operation, "of constants")


def _read_shape(walk: Walk, operation: Operation) -> None:
    shape = walk.shape(walk.view(operation))
    if operation.kind == "Size":
        walk.constants.put(operation.output, np.array(np.prod(shape), np.int64))
        return
    part = slice(operation.attributes.get("start"), operation.attributes.get("end"))
    walk.constants.put(operation.output, np.array(shape[part], np.int64))
