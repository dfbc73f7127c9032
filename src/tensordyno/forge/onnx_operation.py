"""One node of an ONNX graph with its attributes read, and the error for one that forge cannot compile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tensordyno.errors import DataError

if TYPE_CHECKING:
    from onnx import NodeProto

_MOST_NAMED = 5
_REMEDY = "Run it with another engine, for example --engine onnxruntime."


@dataclass(frozen=True)
class Operation:
    """A node; `inputs` may hold empty names for what it leaves out."""

    node: "NodeProto"

    @property
    def kind(self) -> str:
        """`Conv`; with its domain where that is not ONNX's own: `com.microsoft:QLinearAdd`."""
        domain = self.node.domain
        return self.node.op_type if domain in ("", "ai.onnx") else f"{domain}:{self.node.op_type}"

    @property
    def name(self) -> str:
        """The node's name; that of its first output when it has none."""
        return self.node.name or self.output

    @property
    def output(self) -> str:
        """Its first output."""
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it makes, without those that it leaves out."""
        return tuple(filter(None, self.node.output))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it reads."""
        return tuple(self.node.input)

    def input(self, position: int) -> str:
        """The name of an input; empty when it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes as numbers, strings and lists."""
        from onnx import helper

        found = {each.name: helper.get_attribute_value(each) for each in self.node.attribute}
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}

    @property
    def has_graphs(self) -> bool:
        """Whether it runs graphs of its own (If, Loop, Scan)."""
        return any(each.HasField("g") or each.graphs for each in self.node.attribute)


def unsupported(label: str, operations: Sequence[Operation]) -> DataError:
    """The error for operations that forge does not have, each kind with the first node of it."""
    first: dict[str, str] = {}
    for operation in operations:
        first.setdefault(operation.kind, operation.name)
    named = [f"'{kind}' (node '{name}')" for kind, name in first.items()]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    word = "operation" if len(named) == 1 else "operations"
    sentence = f"{label}: forge has no {word} {', '.join(named[:_MOST_NAMED])}{more}."
    return DataError("forge-unsupported", sentence, _REMEDY)


def unsupported_form(label: str, operation: Operation, form: str) -> DataError:
    """The error for an operation in a form that forge does not have: `'Conv' with 1-D weights`."""
    sentence = f"{label}: forge has no operation '{operation.kind}' {form} (node '{operation.name}')."
    return DataError("forge-unsupported", sentence, _REMEDY)
