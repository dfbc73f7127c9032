"""Opens an ONNX classifier for forge: the nodes that its scores need, and a word against what forge lacks."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tensordyno.errors import DataError
from tensordyno.forge.onnx_constants import static_names
from tensordyno.forge.onnx_operation import Operation, unsupported
from tensordyno.models.onnx_file import image_input, load

if TYPE_CHECKING:
    from onnx import ModelProto

_OLDEST = 9  # before it, batch normalisation and broadcasting meant other things
_ANY_BATCH = 2  # stands for a symbolic batch; with 1 a file that mixes images would go unseen


@dataclass(frozen=True)
class Source:
    """A checked file. `shape` is (channels, height, width) of an image whatever the file's layout is."""

    label: str  # names the file in messages
    model: "ModelProto"
    opset: int
    operations: tuple[Operation, ...]  # what the scores need, in order
    static: frozenset[str]  # tensors that depend on no image
    image: str
    layout: str  # nchw or nhwc
    batch: int
    shape: tuple[int, int, int]
    scores: str


def open_source(path: Path | bytes, supported: Container[str]) -> Source:
    """Read a file, or the bytes of one, and refuse what holds operations outside `supported`.

    Raises MissingPackage, or DataError: `missing-onnx`, `broken-onnx`, `forge-unsupported`, `old-opset`,
    `not-a-classifier`.
    """
    label = path.name if isinstance(path, Path) else "The ONNX graph"
    model = _inlined(load(path, extra="forge"))
    scores = model.graph.output[0].name
    operations = _needed(model, scores)
    constants = [tensor.name for tensor in model.graph.initializer]
    static = frozenset(static_names(operations, constants))
    _refuse(label, [o for o in operations if o.kind not in supported and not static.issuperset(o.outputs)])
    image, shape, layout = image_input(model, label, None)
    batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else _ANY_BATCH
    return Source(
        label=label,
        model=model,
        opset=_opset(model, label),
        operations=operations,
        static=static,
        image=image,
        layout=layout,
        batch=batch,
        shape=(int(shape[1]), int(shape[2]), int(shape[3])),
        scores=scores,
    )


def _inlined(model: "ModelProto") -> "ModelProto":
    if not model.functions:
        return model
    import onnx.inliner

    return onnx.inliner.inline_local_functions(model)


def _needed(model: "ModelProto", scores: str) -> tuple[Operation, ...]:
    """The nodes that the scores depend on, in the file's order."""
    wanted, kept = {scores}, []
    for node in reversed(model.graph.node):
        operation = Operation(node)
        if not wanted.isdisjoint(operation.outputs):
            kept.append(operation)
            wanted.update(operation.inputs, _captured(operation))
    return tuple(reversed(kept))


def _captured(operation: Operation) -> set[str]:
    """Names that a node's own graphs read."""
    graphs = [each.g for each in operation.node.attribute if each.HasField("g")]
    return {name for graph in graphs for node in graph.node for name in node.input}


def _refuse(label: str, operations: Sequence[Operation]) -> None:
    if operations:
        raise unsupported(label, operations)


def _opset(model: "ModelProto", label: str) -> int:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), _OLDEST)
    if opset < _OLDEST:
        raise DataError(
            "old-opset",
            f"{label} is written in ONNX opset {opset}, and forge reads {_OLDEST} and later.",
            "Export it again with opset 13 or later.",
        )
    return opset
