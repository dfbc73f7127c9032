"""Opens a float32 network and brings its graph to the form that quantization works on."""

from pathlib import Path
from typing import TYPE_CHECKING

from tensordyno.errors import DataError, MissingPackage
from tensordyno.quantize.affine import fold_affine
from tensordyno.quantize.constants import drop_unused, fold_constants
from tensordyno.quantize.gemm import plain_gemms
from tensordyno.quantize.simplify import drop_identities, plain_pools, plain_reshapes
from tensordyno.quantize.wiring import fresh

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 13  # the first with a scale for each channel
_IR_VERSION = 8  # weights need not be inputs, and every reader of these opsets knows it
_QUANTIZED = (
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantize", "ConvInteger", "MatMulInteger"),
    *("QLinear", "QGemm", "MatMulNBits"),  # the beginnings of their names, ONNX Runtime's own among them
)


def open_graph(path: Path) -> "ModelProto":
    """The network in `path`, computing the same, as one flat graph fit for Q/DQ.

    Opset 13 or later; no Identity or Dropout; constants folded; batch norm and other scales and shifts
    of channels folded into the convolution or Gemm before them; means over the image are
    GlobalAveragePool; every node has a name of its own.
    Raises DataError (`already-quantized`, `old-opset`), MissingPackage without onnx.
    """
    try:
        import onnx
    except ImportError:
        raise MissingPackage("onnx", "onnxruntime") from None
    model = onnx.load(path)
    refuse_quantized(model, path)
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    model = _raise_opset(model, path)
    _drop_constant_inputs(model.graph)
    del model.graph.value_info[:]
    fold_constants(model)
    drop_identities(model.graph)
    plain_reshapes(model)
    plain_pools(model)
    plain_gemms(model)
    _name_nodes(model.graph)
    fold_affine(model.graph)
    drop_unused(model.graph)
    return model


def refuse_quantized(model: "ModelProto", path: Path) -> None:
    """Raise DataError (`already-quantized`) when the network holds quantized operations."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    found = next((node.op_type for node in nodes if node.op_type.startswith(_QUANTIZED)), None)
    if found:
        raise DataError(
            "already-quantized",
            f"{path} is quantized already: it holds {found} nodes.",
            "Give the float32 network it was made from; or run this file as it is, with --precision int8.",
        )


def _raise_opset(model: "ModelProto", path: Path) -> "ModelProto":
    import onnx

    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    if opset < OPSET:
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except Exception as wrong:  # the converter has errors of its own for each operation it cannot raise
            reason = str(wrong).strip().partition("\n")[0].rstrip(".") or type(wrong).__name__
            raise DataError(
                "old-opset",
                f"{path} is written in ONNX opset {opset}, and cannot be brought to {OPSET}: {reason}.",
                f"Export it again with opset {OPSET} or later.",
            ) from wrong
    model.ir_version = max(model.ir_version, _IR_VERSION)
    return model


def _drop_constant_inputs(graph: "GraphProto") -> None:
    """Old files list the weights as inputs too, where a caller might replace them."""
    weights = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)


def _name_nodes(graph: "GraphProto") -> None:
    taken: set[str] = set()
    for node in graph.node:
        node.name = fresh(node.name or f"{node.op_type}_{node.output[0]}", taken)
