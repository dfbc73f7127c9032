"""Whether an ONNX file is quantized already: ours, NNCF's, ONNX Runtime's, or any other with Q/DQ nodes."""

import mmap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto

_MARKS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_INTEGER = ("ConvInteger", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul")
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_OP_TYPE = b"\x22"  # protobuf's tag of NodeProto.op_type: field 4, length-delimited (onnx.proto)


def is_quantized(path: Path) -> bool:
    """Whether a file holds quantized nodes, seen without importing onnx; False if it cannot be read.

    The parent asks when it plans. Names of operators lie in the file as plain text behind their tag.
    """
    try:
        state = path.stat()
    except OSError:
        return False
    return _holds_mark(path, state.st_mtime_ns, state.st_size)


def int8_layers(graph: "GraphProto") -> int:
    """Layers whose weights and activations both are INT8: between dequantize nodes, or integer operators."""
    rounded = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return sum(
        node.op_type in _INTEGER or (node.op_type in _LAYERS and rounded.issuperset(node.input[:2]))
        for node in graph.node
    )


@cache
def _holds_mark(path: Path, changed_ns: int, size: int) -> bool:
    """Read once for each state of the file, however many trials ask."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            marks = (_OP_TYPE + bytes([len(name)]) + name.encode() for name in _MARKS)
            return any(content.find(mark) >= 0 for mark in marks)
    except (OSError, ValueError):  # ValueError: an empty file
        return False
