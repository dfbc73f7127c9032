"""Collects the nodes and constants of a graph that is made from another one."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.quantize.constants import drop_unused
from tensordyno.quantize.wiring import add_constant, fresh, names_in, reads

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class Builder:
    """A model with the inputs, outputs and metadata of `source`, and no nodes yet.

    Tensors of the source keep their names; new ones get names that the source does not have.
    """

    def __init__(self, source: "ModelProto") -> None:
        self._source = source
        self._taken = names_in(source.graph)
        self._scalars: dict[tuple[str, bytes], str] = {}
        self._model = type(source)()
        self._model.ir_version = source.ir_version
        self._model.producer_name = "tensordyno"
        self._model.opset_import.extend(source.opset_import)
        self._model.metadata_props.extend(source.metadata_props)  # its preprocessing
        self._model.graph.name = source.graph.name
        self._model.graph.input.extend(source.graph.input)
        self._model.graph.output.extend(source.graph.output)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant; returns its name, which begins with `name`."""
        return add_constant(self._model.graph, fresh(name, self._taken), value)

    def scalar(self, name: str, value: np.generic) -> str:
        """A constant of one number, shared by all who ask for the same."""
        key = (value.dtype.str, value.tobytes())
        if key not in self._scalars:
            self._scalars[key] = self.constant(name, np.asarray(value))
        return self._scalars[key]

    def node(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        """Add a node; returns the name of its result, which begins with `result`."""
        from onnx import helper

        name = fresh(result, self._taken)
        self._model.graph.node.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def keep(self, node: "NodeProto", inputs: list[str]) -> None:
        """Add a node of the source, reading other inputs."""
        self._model.graph.node.append(node)
        kept = self._model.graph.node[-1]
        del kept.input[:]
        kept.input.extend(inputs)

    def finish(self) -> "ModelProto":
        """The model, with those constants of the source that its nodes read."""
        graph = self._model.graph
        read = {name for node in graph.node for name in reads(node)}
        graph.initializer.extend(tensor for tensor in self._source.graph.initializer if tensor.name in read)
        drop_unused(graph)
        return self._model
