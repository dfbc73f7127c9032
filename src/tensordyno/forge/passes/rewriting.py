"""A graph while a pass rewrites it: nodes replaced in place, readers kept up to date."""

from collections.abc import Iterator
from dataclasses import replace

from tensordyno.forge.graph import Graph, Node, Tensor

Steps = tuple[float, bool]  # the scale of an integer tensor, and whether it is unsigned


class Rewriting:
    """Nodes by the tensor that they make, each at a place of its own so that the order stays valid.

    A replaced node keeps the place of the one it replaces; `result` is the very graph that came in when
    nothing was changed, which is how the pipeline knows that it is done.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = {node.output: node for node in graph.nodes}
        self._places: dict[str, tuple[float, ...]] = {
            node.output: (float(index),) for index, node in enumerate(graph.nodes)
        }
        self._tensors = dict(graph.tensors)
        self._readers: dict[str, dict[str, None]] = {}  # tensor -> outputs of the nodes that read it
        self._input, self._output = graph.input, graph.output
        self._changed = False
        for node in graph.nodes:
            self._link(node)

    @property
    def input(self) -> str:
        """The name of the image."""
        return self._input

    @property
    def output(self) -> str:
        """The name of the logits."""
        return self._output

    def nodes(self) -> Iterator[Node]:
        """The nodes that stood at the start and still stand, as they are when their turn comes."""
        for name in self._in_order():
            if name in self._nodes:
                yield self._nodes[name]

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises KeyError."""
        return self._tensors[name]

    def steps(self, name: str) -> Steps | None:
        """The scale of a tensor and whether it is unsigned; None: real numbers."""
        tensor = self._tensors[name]
        return None if tensor.scale is None else (tensor.scale, tensor.unsigned)

    def producer(self, name: str) -> Node | None:
        """The node that makes a tensor; None for the image."""
        return self._nodes.get(name)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a tensor, in order."""
        return [self._nodes[reader] for reader in sorted(self._readers.get(name, ()), key=self._place)]

    def is_read_only_by(self, name: str, node: Node) -> bool:
        """Whether nobody else looks at a tensor, the user included."""
        return name != self._output and set(self._readers.get(name, ())) == {node.output}

    def comes_before(self, node: Node, other: Node) -> bool:
        """Whether the place of `node` is before that of `other`."""
        return self._place(node.output) < self._place(other.output)

    def replace(self, old: Node, new: Node) -> None:
        """Put `new` in the place of `old`; it may make another tensor."""
        place = self._place(old.output)
        self.remove(old)
        self._nodes[new.output], self._places[new.output] = new, place
        self._link(new)

    def insert(self, new: Node, beside: Node, *, after: bool) -> None:
        """Put a node right behind or right in front of another one."""
        place = self._place(beside.output)
        self._nodes[new.output] = new
        self._places[new.output] = (*place, 1.0) if after else (*place[:-1], place[-1] - 0.5)
        self._changed = True
        self._link(new)

    def remove(self, node: Node) -> None:
        """Take a node out; what read its result must be changed as well."""
        self._changed = True
        del self._nodes[node.output]
        for name in node.inputs:
            self._readers[name].pop(node.output, None)

    def redirect(self, old: str, new: str) -> None:
        """Let every node that reads `old` read `new`."""
        for node in self.readers(old):
            self.reread(node, old, new)

    def reread(self, node: Node, old: str, new: str) -> None:
        """Let one node read `new` where it read `old`."""
        self.replace(node, replace(node, inputs=tuple(new if name == old else name for name in node.inputs)))

    def set_tensor(self, tensor: Tensor) -> None:
        """Add a tensor, or change its shape or scale."""
        self._changed = self._changed or self._tensors.get(tensor.name) != tensor
        self._tensors[tensor.name] = tensor

    def new_tensor(self, like: str, steps: Steps | None, suffix: str) -> str:
        """The name, borne by nobody yet, of a new tensor: of the shape of `like`, with these steps."""
        name = f"{like}:{suffix}"
        while name in self._tensors:
            name += "'"
        scale, unsigned = steps or (None, False)
        self._tensors[name] = Tensor(name, self._tensors[like].shape, scale, unsigned)
        return name

    def result(self) -> Graph:
        """The graph as it now is."""
        if not self._changed:
            return self._graph
        nodes = tuple(self._nodes[name] for name in self._in_order())
        return self._graph.with_nodes(nodes, *self._tensors.values())

    def _in_order(self) -> list[str]:
        return sorted(self._nodes, key=self._place)

    def _place(self, output: str) -> tuple[float, ...]:
        return self._places[output]

    def _link(self, node: Node) -> None:
        for name in node.inputs:
            self._readers.setdefault(name, {})[node.output] = None
