"""A Q/DQ file as a PyTorch graph that inductor lowers to oneDNN's INT8 convolutions.

The graph holds PyTorch's own quantize and dequantize operations (`torch.ops.quantized_decomposed`) with
the scales of the file: inductor's x86 patterns match `dequantize -> convolution -> ... -> quantize` and
put an INT8 kernel in its place, as they do for networks quantized by PT2E (torch/_inductor/fx_passes/
quantization.py). What no pattern matches is computed in float32, and counted as such.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.engines.framework import framework
from tensordyno.engines.torch_operations import OPERATIONS, Array, Operation, sides
from tensordyno.errors import Unsupported

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from torch import fx

# Inductor counts what it lowers to oneDNN's quantized kernels under these names.
_LOWERED = ("qconv_unary", "qconv2d_binary", "qlinear_unary", "qlinear_binary")


@dataclass(frozen=True, kw_only=True)
class QdqNetwork:
    """`module` maps float32 images to float32 logits; `layers` of it have weights."""

    module: "fx.GraphModule"
    layers: int


def read_qdq(path: Path) -> QdqNetwork:
    """Read a Q/DQ file of `images` (N, C, H, W) to `logits` (N, classes).

    Raises MissingPackage without onnx, Unsupported for an operator that has no counterpart here.
    """
    onnx = framework("onnx", "torch")
    reader = _Reader(onnx.load(path))
    return QdqNetwork(module=reader.module(), layers=reader.layers)


def int8_layers() -> int:
    """How many layers inductor has lowered to INT8 kernels since its counters were cleared."""
    from torch._dynamo.utils import counters

    return sum(int(counters["inductor"][f"{kind}_lower_count"]) for kind in _LOWERED)


@dataclass(frozen=True, kw_only=True)
class _Weights:
    """INT8 weights, symmetric, one scale for each index of `axis`."""

    stored: Array
    scale: Array
    axis: int

    def transposed(self) -> "_Weights":
        return _Weights(stored=np.ascontiguousarray(self.stored.T), scale=self.scale, axis=1 - self.axis)


class _Reader:
    """Goes through the nodes of an ONNX graph, which are in order of use, and writes a torch.fx graph."""

    def __init__(self, model: "ModelProto") -> None:
        import torch
        from onnx import numpy_helper

        importlib.import_module("torch.ao.quantization.fx._decomposed")  # registers the operations
        self.layers = 0
        self._decomposed = torch.ops.quantized_decomposed
        self._onnx = model.graph
        self._graph, self._root = torch.fx.Graph(), torch.nn.Module()
        self._constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._weights: dict[str, _Weights] = {}
        self._values: dict[str, fx.Node] = {}

    def module(self) -> "fx.GraphModule":
        """The whole graph."""
        import torch

        given = [value.name for value in self._onnx.input if value.name not in self._constants]
        self._values[given[0]] = self._graph.placeholder("images")
        for node in self._onnx.node:
            self._add(node)
        self._graph.output(self._tensor(self._onnx.output[0].name))
        self._graph.eliminate_dead_code()
        return torch.fx.GraphModule(self._root, self._graph).eval()

    def _add(self, node: "NodeProto") -> None:
        own: dict[str, Callable[[NodeProto], None]] = {
            "Constant": self._keep_constant,
            "QuantizeLinear": self._quantize,
            "DequantizeLinear": self._dequantize,
        }
        layers = {"Conv": self._convolution, "Gemm": self._product, "MatMul": self._product}
        if node.op_type in own:
            own[node.op_type](node)
            return
        write = layers.get(node.op_type) or OPERATIONS.get(node.op_type)
        if write is None or node.domain not in ("", "ai.onnx"):
            raise Unsupported(
                f"This PyTorch engine cannot read the ONNX operator {node.op_type} of a Q/DQ file.",
                "Use onnxruntime or openvino.",
            )
        self._values[node.output[0]] = write(self._operation(node))

    def _operation(self, node: "NodeProto") -> Operation:
        return Operation(
            kind=node.op_type,
            graph=self._graph,
            inputs=tuple(node.input),
            attributes=_attributes(node),
            tensor=self._tensor,
            constant=self._constants.get,
        )

    def _keep_constant(self, node: "NodeProto") -> None:
        from onnx import numpy_helper

        self._constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def _tensor(self, name: str) -> "fx.Node":
        """The value of that name: computed before, weights to be dequantized, or a constant."""
        if name in self._weights:
            return self._dequantized(self._weights[name])
        if name not in self._values:
            self._values[name] = self._buffer(self._constants[name])
        return self._values[name]

    def _buffer(self, array: Array) -> "fx.Node":
        import torch

        name = f"constant_{len(self._root._buffers)}"
        self._root.register_buffer(name, torch.from_numpy(np.array(array)))
        return self._graph.get_attr(name)

    def _quantize(self, node: "NodeProto") -> None:
        """To INT8, one scale for the whole tensor; constants at once."""
        scale, zero = self._scale(node)
        source, made = node.input[0], node.output[0]
        if source in self._constants:
            axis = _attributes(node).get("axis", 1)
            self._constants[made] = _rounded(self._constants[source], scale, zero, axis)
            return
        self._values[made] = self._per_tensor("quantize_per_tensor", self._tensor(source), scale, zero)

    def _dequantize(self, node: "NodeProto") -> None:
        """To float32: activations here, symmetric INT8 weights where they are used, the rest at once."""
        scale, zero = self._scale(node)
        source, made = node.input[0], node.output[0]
        if source not in self._constants:
            self._values[made] = self._per_tensor("dequantize_per_tensor", self._tensor(source), scale, zero)
            return
        stored, axis = self._constants[source], _attributes(node).get("axis", 1)
        if stored.dtype == np.int8 and stored.ndim > 1 and not zero.any():
            axis = axis % stored.ndim if scale.size > 1 else 0
            scales = np.broadcast_to(scale.ravel(), (stored.shape[axis],)).copy()
            self._weights[made] = _Weights(stored=stored, scale=scales, axis=axis)
        else:
            shift = stored.astype(np.float32) - _along(zero, stored, axis)
            self._constants[made] = (shift * _along(scale, stored, axis)).astype(np.float32)

    def _scale(self, node: "NodeProto") -> tuple[Array, Array]:
        """Scale and zero point; the type of the zero point is that of the quantized values."""
        try:
            scale = self._constants[node.input[1]]
            given = len(node.input) > 2 and node.input[2]
            return scale, self._constants[node.input[2]] if given else np.zeros((), np.uint8)
        except KeyError:
            raise Unsupported("This PyTorch engine reads Q/DQ files with constant scales only.") from None

    def _per_tensor(self, name: str, value: "fx.Node", scale: Array, zero: Array) -> "fx.Node":
        import torch

        if scale.size != 1 or zero.dtype not in (np.uint8, np.int8):
            raise Unsupported("This PyTorch engine reads 8-bit activations with one scale a tensor only.")
        limits, kind = np.iinfo(zero.dtype), {"uint8": torch.uint8, "int8": torch.int8}[zero.dtype.name]
        operator = getattr(self._decomposed, name).default
        arguments: tuple[Any, ...] = (
            value,
            float(scale.item()),
            int(zero.item()),
            int(limits.min),
            int(limits.max),
            kind,
        )
        return self._graph.call_function(operator, arguments)

    def _dequantized(self, weights: _Weights) -> "fx.Node":
        import torch

        zeros = np.zeros(len(weights.scale), np.int64)
        parts = [self._buffer(array) for array in (weights.stored, weights.scale, zeros)]
        arguments: tuple[Any, ...] = (*parts, weights.axis, -128, 127, torch.int8)
        return self._graph.call_function(self._decomposed.dequantize_per_channel.default, arguments)

    def _convolution(self, operation: Operation) -> "fx.Node":
        get = operation.attributes.get
        images, padding = sides(operation, 0.0)
        self.layers += 1
        return operation.aten(
            "conv2d",
            images,
            operation[1],
            operation[2] if operation.given(2) else None,
            list(get("strides", [1, 1])),
            padding,
            list(get("dilations", [1, 1])),
            get("group", 1),
        )

    def _product(self, operation: Operation) -> "fx.Node":
        """Gemm and MatMul with constant weights as linear, which wants them as (outputs, inputs)."""
        get, name = operation.attributes.get, operation.inputs[1]
        if get("transA", 0) or get("alpha", 1.0) != 1 or (operation.given(2) and get("beta", 1.0) != 1):
            raise Unsupported("This PyTorch engine reads Gemm as a plain linear layer only.")
        if name not in self._weights and name not in self._constants:
            return operation.aten("matmul", operation[0], operation[1])
        self.layers += 1
        given = operation.known(2)
        bias = None if given is None else self._buffer(np.ravel(given))
        return operation.aten("linear", operation[0], self._linear_weights(name, get("transB", 0)), bias)

    def _linear_weights(self, name: str, transposed: int) -> "fx.Node":
        if name in self._weights:
            weights = self._weights[name]
            return self._dequantized(weights if transposed else weights.transposed())
        array = self._constants[name]
        return self._buffer(array if transposed else array.T)


def _attributes(node: "NodeProto") -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _along(values: Array, like: Array, axis: int) -> Array:
    """`values`, one or one for each index of `axis`, in a shape that broadcasts against `like`."""
    if values.size == 1:
        return values.reshape(())
    shape = np.ones(like.ndim, int)
    shape[axis] = -1
    return values.reshape(shape)


def _rounded(array: Array, scale: Array, zero: Array, axis: int) -> Array:
    """ONNX's QuantizeLinear: round half to even, then saturate."""
    limits = np.iinfo(zero.dtype)
    steps = np.rint(array / _along(scale, array, axis)) + _along(zero, array, axis)
    return np.clip(steps, limits.min, limits.max).astype(zero.dtype)
