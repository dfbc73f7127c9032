"""Computes once what an ONNX graph computes from constants alone, and drops what nothing reads."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.wiring import reads, replace_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Each run gives other numbers, or the result is no tensor, or it depends on a subgraph.
_NEVER = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"),
        *("Bernoulli", "If", "Loop", "Scan", "SequenceConstruct", "SequenceEmpty", "Optional"),
    }
)


def fold_constants(model: "ModelProto") -> None:
    """Replace every node of the graph whose inputs are all constant by initializers with its results."""
    from onnx import numpy_helper

    graph = model.graph
    known: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        results = _results(model, node, known)
        if results is None:
            kept.append(node)
            continue
        for name, value in results.items():
            known[name] = numpy_helper.from_array(value, name)
            graph.initializer.append(known[name])
    replace_nodes(graph, kept)


def drop_unused(graph: "GraphProto") -> None:
    """Remove nodes whose results nothing reads, and initializers likewise."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(reads(node))
    replace_nodes(graph, kept[::-1])
    for position in reversed(range(len(graph.initializer))):
        if graph.initializer[position].name not in wanted:
            del graph.initializer[position]


def _results(
    model: "ModelProto", node: "NodeProto", known: "dict[str, TensorProto]"
) -> dict[str, NDArray[Any]] | None:
    """What a node computes from constants; None when it reads something else, or cannot be computed here."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    if node.domain not in ("", "ai.onnx") or node.op_type in _NEVER or any(n not in known for n in names):
        return None
    feeds = {name: numpy_helper.to_array(known[name]) for name in names}
    inputs = [helper.make_tensor_value_info(n, known[n].data_type, known[n].dims) for n in feeds]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "constants", inputs, outputs)
    single = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        found = ReferenceEvaluator(single).run(None, feeds)
    except Exception:  # an operation that the reference does not know stays in the graph
        return None
    if not all(isinstance(value, np.ndarray | np.generic) for value in found):
        return None
    return {value.name: np.asarray(result) for value, result in zip(outputs, found, strict=True)}
