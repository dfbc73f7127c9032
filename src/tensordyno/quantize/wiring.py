"""Who makes and who reads each tensor of an ONNX graph."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Axis = int | str | None  # a number, a symbol, or nothing known
Shape = tuple[Axis, ...]

_LARGE = 1024  # elements; a constant that shape inference may need the values of is smaller


class Wiring:
    """An index of a graph as it was when the index was made."""

    def __init__(self, graph: "GraphProto") -> None:
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.producer: dict[str, NodeProto] = {}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            self.producer.update(dict.fromkeys(node.output, node))
            for name in reads(node):
                self.consumers[name].append(node)

    def sole_reader(self, tensor: str) -> "NodeProto | None":
        """The one node that reads a tensor; None when several do, or none, or it is a graph output."""
        readers = self.consumers[tensor]
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def is_constant(self, tensor: str) -> bool:
        """Whether it is an initializer."""
        return tensor in self.constants

    def array(self, tensor: str) -> NDArray[Any]:
        """The value of an initializer."""
        from onnx import numpy_helper

        return numpy_helper.to_array(self.constants[tensor])

    def is_float_constant(self, tensor: str) -> bool:
        """Whether it is a float32 initializer."""
        from onnx import TensorProto

        return tensor in self.constants and self.constants[tensor].data_type == TensorProto.FLOAT


def reads(node: "NodeProto") -> "dict[str, None]":
    """The tensors a node reads, each once and in order, those of its subgraphs among them."""
    return dict.fromkeys(name for name in (*node.input, *_captured(node)) if name)


def activations(node: "NodeProto", wiring: Wiring) -> list[str]:
    """The inputs of a node that are computed."""
    return [name for name in node.input if name and not wiring.is_constant(name)]


def attribute(node: "NodeProto", name: str, default: Any = None) -> Any:
    """The value of an attribute, or the default when the node has none of that name."""
    from onnx import helper

    for found in node.attribute:
        if found.name == name:
            return helper.get_attribute_value(found)
    return default


def fresh(name: str, taken: set[str]) -> str:
    """`name`, or with a number behind it when it is taken; it is taken from then on."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


def names_in(graph: "GraphProto") -> set[str]:
    """All names of tensors in a graph."""
    return {
        *(value.name for value in (*graph.input, *graph.output, *graph.initializer)),
        *(name for node in graph.node for name in (*node.input, *node.output)),
    }


def replace_nodes(graph: "GraphProto", nodes: "Sequence[NodeProto]") -> None:
    """Make these the nodes of the graph, in this order."""
    kept = list(nodes)  # they may be the graph's own
    copies = [_copy(node) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def add_constant(graph: "GraphProto", name: str, value: NDArray[Any]) -> str:
    """Add an initializer; returns its name."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def shapes_of(model: "ModelProto") -> dict[str, Shape]:
    """The shape of every tensor for which ONNX's shape inference finds one.

    Weights are described, not copied, so that a large network costs no memory.
    """
    import onnx

    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) <= _LARGE:
            light.graph.initializer.append(tensor)
        else:
            value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            light.graph.input.append(value)
    graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {
        value.name: _shape(value.type.tensor_type.shape)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _shape(shape: Any) -> Shape:
    return tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None for axis in shape.dim
    )


def _captured(node: "NodeProto") -> Iterator[str]:
    """Names that the node's subgraphs mention; those from outside are among them."""
    for found in node.attribute:
        for graph in (*([found.g] if found.HasField("g") else []), *found.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _captured(inner)
            yield from (value.name for value in graph.output)


def _copy(node: "NodeProto") -> "NodeProto":
    copy = type(node)()
    copy.CopyFrom(node)
    return copy
