"""The operations with weights: Conv, Gemm, MatMul; and which of them INT8 can express."""

from typing import TYPE_CHECKING

from tensordyno.quantize.wiring import Wiring, attribute

if TYPE_CHECKING:
    from onnx import NodeProto

LAYERS = ("Conv", "Gemm", "MatMul")


def has_weights(node: "NodeProto", wiring: Wiring) -> bool:
    """Whether a node is a layer; a product of two computed matrices is none."""
    constant = any(wiring.is_constant(name) for name in node.input[:2])
    return node.op_type == "Conv" or (node.op_type in LAYERS and constant)


def obstacle(node: "NodeProto", wiring: Wiring) -> str:
    """Why a layer cannot be in INT8, as the end of 'it stays in FP32: ...'; empty when it can."""
    return _in_its_form(node) or _in_its_weights(node, wiring) or _in_its_bias(node, wiring)


def _in_its_form(node: "NodeProto") -> str:
    usual = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    plain = all(attribute(node, name, value) == value for name, value in usual.items())
    return "" if plain else "it is a Gemm with alpha, beta or transA"


def _in_its_weights(node: "NodeProto", wiring: Wiring) -> str:
    if wiring.is_constant(node.input[0]):
        return "its constant is the left factor"
    if not wiring.is_constant(node.input[1]):
        return "its weights are computed"
    if not wiring.is_float_constant(node.input[1]):
        return "its weights are not float32"
    matrix = node.op_type == "Conv" or len(wiring.constants[node.input[1]].dims) == 2
    return "" if matrix else "its weights are no matrix"


def _in_its_bias(node: "NodeProto", wiring: Wiring) -> str:
    bias = bias_of(node)
    if not bias:
        return ""
    if not wiring.is_float_constant(bias):
        return "its bias is computed"
    plain = tuple(wiring.constants[bias].dims) == (outputs_of(node, wiring),)
    return "" if plain else "its bias is not one number for each output"


def bias_of(node: "NodeProto") -> str:
    """Name of a layer's bias; empty without one."""
    return node.input[2] if len(node.input) > 2 else ""


def channel_axis(node: "NodeProto") -> int:
    """The axis of the weights that counts output channels."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attribute(node, "transB", 0) else 1


def outputs_of(node: "NodeProto", wiring: Wiring) -> int:
    """Number of a layer's output channels."""
    return int(wiring.constants[node.input[1]].dims[channel_axis(node)])
