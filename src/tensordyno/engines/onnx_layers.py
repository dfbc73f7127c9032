"""In which number format the layers of an ONNX graph compute, once ONNX Runtime has optimised it."""

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

# ONNX Runtime's operators with weights, whatever their domain (NCHWc, NHWC and fused ones have domains of
# their own), by the place of the weights among their inputs.
_INT8 = {
    "ConvInteger": 1,
    "DynamicQuantizeMatMul": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "QGemm": 3,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
}
_FLOAT = {
    "Conv": 1,
    "ConvTranspose": 1,
    "FusedConv": 1,
    "FusedGemm": 1,
    "FusedMatMul": 1,
    "Gemm": 1,
    "MatMul": 1,
    "NhwcFusedConv": 1,
}
_ALWAYS_WEIGHTS = ("Conv", "Gemm")  # a matrix product may also be one of two activations


def count_layers(path: Path, onnx: ModuleType) -> dict[str, int]:
    """Layers with weights of the graph in `path` that compute in "int8" and in "fp32", under those keys."""
    graph = onnx.load(path, load_external_data=False).graph
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:  # weights that stay INT8 in memory but enter the arithmetic as floats
        if node.op_type == "DequantizeLinear" and node.input[0] in constant:
            constant.add(node.output[0])
    found: Counter[str] = Counter(int8=0, fp32=0)
    for node in graph.node:
        for name, kinds in (("int8", _INT8), ("fp32", _FLOAT)):
            if node.op_type in kinds and _has_weights(node, kinds[node.op_type], constant):
                found[name] += 1
    return dict(found)


def _has_weights(node: Any, place: int, constant: set[str]) -> bool:
    known = any(word in node.op_type for word in _ALWAYS_WEIGHTS)
    return known or (len(node.input) > place and node.input[place] in constant)
