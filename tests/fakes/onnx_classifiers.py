"""Small ONNX classifiers around one operation, and how forge and ONNX Runtime each read them."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from random_networks import answers

from tensordyno.errors import DataError
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.onnx_reader import read_graph

SHAPE = ("N", 3, 8, 8)


def classifier(nodes, constants=None, shape=SHAPE, opset=20, flat=True, functions=()):
    """`images` of that shape through the nodes, flattened, to `logits`."""
    nodes = list(nodes)
    if flat:
        nodes.append(helper.make_node("Flatten", [nodes[-1].output[0]], ["logits"], name="last"))
    else:
        nodes[-1].output[0] = "logits"
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (shape[0], "classes"))
    graph = helper.make_graph(nodes, "graph", [images], [logits], weights)
    domains = {node.domain for node in nodes if node.domain}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)


def read(model):
    return read_graph(model.SerializeToString())


def nodes_of(model, kind):
    return [node for node in read(model).nodes if isinstance(node, kind)]


def only(model, kind):
    (node,) = nodes_of(model, kind)
    return node


def refusal(model):
    with pytest.raises(DataError) as caught:
        read(model)
    assert "\n" not in caught.value.line()
    return caught.value


def refused_form(model):
    """The sentence of an operation that forge does not have in this form, after the label."""
    error = refusal(model)
    assert error.slug == "forge-unsupported"
    return error.sentence.removeprefix("The ONNX graph: forge has no operation ").removesuffix(".")


def random_images(graph, n=3, seed=0):
    shape = graph.tensor(graph.input).shape
    return np.random.default_rng(seed).standard_normal((n, *shape), dtype=np.float32)


def check_like_runtime(model, n=3, channels_last=False, tolerance=1e-4):
    """Forge's reading computes what ONNX Runtime computes node by node; returns the graph."""
    graph = read(model)
    images = random_images(graph, n)
    expected = answers(model, images.transpose(0, 2, 3, 1) if channels_last else images)
    found = evaluate(graph, images)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return graph
