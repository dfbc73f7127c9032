"""Which number format the layers of a compiled OpenVINO network run in, from its execution graph."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

_LAYERS = frozenset({"Convolution", "Deconvolution", "FullyConnected", "GroupConvolution", "MatMul"})
_FORMATS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "u8": "int8", "i8": "int8"}


def layer_formats(compiled: Any) -> Counter[str]:
    """How many convolutions and matrix products run in which format: "fp32", "int8", ...

    The plug-in compiles small matrix products in a row into one subgraph. Its matrix kernel takes
    weights and activations of one kind (float32, bfloat16, or INT8 both), so there the format is that of
    the weights; the precision reported for the subgraph as a whole is that of its other arithmetic.
    """
    found = (fmt for operation in compiled.get_runtime_model().get_ops() for fmt in _formats(operation))
    return Counter(_FORMATS.get(fmt, fmt) for fmt in found)


def _formats(operation: Any) -> Iterator[str]:
    kind, precision = _account(operation)
    if kind in _LAYERS:
        yield precision
    elif kind == "Subgraph":
        for value in operation.input_values():
            source, stored = _account(value.get_node())
            if source == "Const" and sum(side > 1 for side in value.get_shape()) > 1:  # biases have one
                yield stored


def _account(operation: Any) -> tuple[str, str]:
    """Kind and precision of a node of the execution graph, empty where it does not say."""
    info = operation.get_rt_info()
    kind, precision = (
        info[key].astype(str) if key in info else "" for key in ("layerType", "runtimePrecision")
    )
    return kind, precision
