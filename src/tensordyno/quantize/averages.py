"""Writes an average pool as a depthwise convolution, which ONNX Runtime runs ten times faster in INT8.

Every weight of a 3x3 average is 1/9: 127 steps of 1/(9 * 127), with no error. A pool that leaves its
padding out of the mean divides by less at the border, and stays a pool.
"""

from typing import TYPE_CHECKING

import numpy as np

from tensordyno.quantize.base import LEVELS
from tensordyno.quantize.builder import Builder
from tensordyno.quantize.wiring import attribute

if TYPE_CHECKING:
    from onnx import NodeProto

_CONVOLUTION_HAS = ("kernel_shape", "strides", "pads", "dilations")


def is_plain_average(node: "NodeProto") -> bool:
    """False for an AveragePool that counts padding and is no convolution: engines disagree on those."""
    return (
        node.op_type != "AveragePool" or is_convolution(node) or not attribute(node, "count_include_pad", 0)
    )


def is_convolution(node: "NodeProto") -> bool:
    """Whether an AveragePool of an image divides by the same number everywhere."""
    if attribute(node, "ceil_mode", 0) or len(attribute(node, "kernel_shape")) != 2:
        return False
    if attribute(node, "auto_pad", b"NOTSET") != b"NOTSET":
        return False
    return bool(attribute(node, "count_include_pad", 0)) or not any(attribute(node, "pads", ()))


def as_convolution(node: "NodeProto", source: str, channels: int, builder: Builder) -> None:
    """Add the convolution that computes what the AveragePool `node` computes from `source`."""
    height, width = attribute(node, "kernel_shape")
    name = node.output[0]
    scale = np.float32(1 / (height * width * LEVELS))
    weights = np.full((channels, 1, height, width), LEVELS, np.int8)
    mean = builder.node(
        "DequantizeLinear",
        [
            builder.constant(f"{name}_mean_int8", weights),
            builder.scalar("mean_scale", scale),
            builder.scalar("zero", np.int8(0)),
        ],
        f"{name}_mean",
    )
    shared = {a: attribute(node, a) for a in _CONVOLUTION_HAS if attribute(node, a) is not None}
    builder.keep(_convolution(node, channels, shared), [source, mean])


def _convolution(node: "NodeProto", channels: int, attributes: dict[str, object]) -> "NodeProto":
    from onnx import helper

    return helper.make_node("Conv", ["", ""], [node.output[0]], name=node.name, group=channels, **attributes)
