"""Small ONNX graphs, written node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def node(kind, inputs, output="", **attributes):
    return helper.make_node(kind, inputs, [output or f"{kind.lower()}_out"], **attributes)


def graph(nodes, constants=None, shape=(2, 3, 8, 8), opset=20):
    """`images` of that shape to the output of the last node."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        weights,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def saved(model, path):
    onnx.save(model, path)
    return path
