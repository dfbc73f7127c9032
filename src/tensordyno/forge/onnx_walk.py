"""The graph while it grows: what each name of the ONNX file stands for in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from tensordyno.errors import DataError
from tensordyno.forge.graph import Array, Graph, Node, Tensor
from tensordyno.forge.onnx_constants import Constants
from tensordyno.forge.onnx_operation import Operation, unsupported_form
from tensordyno.forge.onnx_source import Source
from tensordyno.models.onnx_file import not_a_classifier

_NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class View:
    """What an ONNX name stands for: a tensor of the graph, perhaps with its axes in another order.

    `axes` says for each axis of the ONNX value, the batch among them, which axis of (N, C, H, W) it is.
    `zero` is the zero point of the file's integers; those of the graph have none.
    """

    tensor: Tensor
    axes: tuple[int, ...]
    zero: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether its axes are in the graph's order."""
        return self.axes == tuple(range(len(self.axes)))


class Walk:
    """Collects nodes and tensors as the file's operations come by, in order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.constants = Constants(source.model, source.opset)
        self._nodes: list[Node] = []
        self._taken = {name for each in source.operations for name in (*each.inputs, *each.outputs)}
        image = Tensor(source.image, source.shape)
        self._tensors = {image.name: image}
        axes = _NHWC if source.layout == "nhwc" else (0, 1, 2, 3)
        self._views = {source.image: View(image, axes)}

    def view(self, operation: Operation, position: int = 0) -> View:
        """What an input stands for; a computed one, of real numbers or integers, in any order of axes."""
        name = operation.input(position)
        if name in self.constants:
            raise self.refusal(operation, "with a constant in this place")
        if name not in self._views:  # a second output of something
            raise self.refusal(operation, f"that reads '{name}'")
        return self._views[name]

    def plain(self, operation: Operation, position: int = 0) -> View:
        """An input with its axes in order: (N, C, H, W) or (N, features)."""
        view = self.view(operation, position)
        if not view.is_plain:
            raise self.refusal(operation, "of transposed images")
        return view

    def real(self, operation: Operation, position: int = 0) -> Tensor:
        """An input of real numbers with its axes in order."""
        tensor = self.plain(operation, position).tensor
        if tensor.scale is not None:
            raise self.refusal(operation, "of integers")
        return tensor

    def image(self, operation: Operation) -> Tensor:
        """The first input: real numbers (channels, height, width)."""
        tensor = self.real(operation)
        if len(tensor.shape) != 3:
            raise self.refusal(operation, f"of {len(tensor.shape) + 1} axes")
        return tensor

    def array(self, operation: Operation, position: int) -> Array:
        """A constant input. Raises DataError when it is computed."""
        name = operation.input(position)
        if name not in self.constants:
            raise self.refusal(operation, f"with a computed input '{name}'")
        return self.constants.array(name)

    def add(self, node: Node, tensor: Tensor, like: View | None = None) -> None:
        """Append a node that makes `tensor`; axes and zero point are those of `like`, or plain."""
        self._nodes.append(node)
        self._tensors[tensor.name] = tensor
        axes = tuple(range(len(tensor.shape) + 1))
        self._views[tensor.name] = replace(like, tensor=tensor) if like else View(tensor, axes)

    def alias(self, operation: Operation, view: View) -> None:
        """Let an operation's output stand for what is there already."""
        self._views[operation.output] = view

    def fresh(self, name: str) -> str:
        """A name that nothing bears yet."""
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found

    def shape(self, view: View) -> tuple[int, ...]:
        """The shape that the ONNX value has, with the batch."""
        whole = (self.source.batch, *view.tensor.shape)
        return tuple(whole[axis] for axis in view.axes)

    def refusal(self, operation: Operation, form: str) -> DataError:
        """The error for an operation in a form that forge does not have."""
        return unsupported_form(self.source.label, operation, form)

    def finish(self) -> Graph:
        """The graph; nodes that its output does not need are left out. Raises DataError."""
        view = self._views.get(self.source.scores)
        if view is None or len(view.tensor.shape) != 1 or view.tensor.scale is not None:
            shape = "of a constant" if view is None else f"({', '.join(map(str, ('N', *view.tensor.shape)))})"
            found = f"its output '{self.source.scores}' has the shape {shape}"
            raise not_a_classifier(self.source.label, found)
        wanted, kept = {view.tensor.name}, []
        for node in reversed(self._nodes):
            if node.output in wanted:
                kept.append(node)
                wanted.update(node.inputs)
        graph = Graph(self.source.image, view.tensor.name, (), MappingProxyType(self._tensors))
        return graph.with_nodes(tuple(reversed(kept)))


Reader = Callable[[Walk, Operation], None]  # of one kind of operation
