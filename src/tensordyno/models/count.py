"""What a network costs: parameters, and multiply-accumulates of one image."""

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from torch import nn


class Cost(NamedTuple):
    """`parameters`; for one image `macs`, the multiply-accumulates, and `activations`, see `traffic`."""

    parameters: int
    macs: int
    activations: int = 0  # 0: not counted


def count(module: "nn.Module", input_shape: tuple[int, int, int]) -> Cost:
    """Cost of a network in evaluation mode, on the device its parameters are on; `meta` computes nothing.

    Convolutions and matrix products count, as in torchvision's published numbers: pooling, normalisation
    and activations are left out, and a fused multiply-add is one MAC (PyTorch's counter says two FLOP).
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    parameters = list(module.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros((1, *input_shape), device=device))
    return Cost(sum(p.numel() for p in parameters), counter.get_total_flops() // 2)


def count_onnx(model: "ModelProto") -> Cost:
    """Cost of an ONNX graph with the inputs of `onnx_file`, by the same rule as `count`.

    Parameters are the elements of all initialisers that are not indices or shapes. A node whose shapes
    ONNX cannot infer (an operator of somebody's own) is left out.
    """
    import onnx

    single = onnx.ModelProto()
    single.CopyFrom(model)
    single.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    indices = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL)
    parameters = sum(math.prod(t.dims) for t in graph.initializer if t.data_type not in indices)
    return Cost(parameters, sum(_node_macs(node, shapes) for node in graph.node))


def _node_macs(node: "NodeProto", shapes: dict[str, tuple[int, ...]]) -> int:
    weight = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}.get(node.op_type)
    outputs = math.prod(shapes.get(node.output[0], (0,)))
    if weight is not None:  # each output element: one weight filter (inputs per group, kernel)
        return outputs * math.prod(shapes.get(node.input[weight], (0, 0))[1:])
    if node.op_type in ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"):
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return outputs * shapes.get(node.input[0], (0,))[0 if transposed else -1]
    return 0
