"""A classifier that comes as an ONNX file: checked, and brought to the form that every engine expects."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tensordyno.errors import DataError, MissingPackage
from tensordyno.models.base import BATCH_AXIS
from tensordyno.models.onnx_input import feed_nchw, layout_of, noted_preprocessing
from tensordyno.records.model import ModelCard, Preprocessing

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

_NAME_A_CLASSIFIER = "Give a file with one float32 image input (N, C, H, W) and class scores (N, classes)."
Shape = list[int | str]  # a number, the name of a symbolic axis, or "?"


def open_classifier(path: Path, layout: str | None = None) -> "tuple[ModelProto, ModelCard]":
    """Read FILE.onnx as `images` (N, C, H, W) to `logits` (N, classes) with symbolic N.

    The input and the first output get those names, other outputs are dropped, and a fixed batch is made
    symbolic. An input (N, H, W, C) is fed through a transpose; `layout` says `nchw` or `nhwc` where the
    shape does not. Preprocessing is what a file of ours notes, else that of ImageNet.
    Raises MissingPackage, or DataError: `missing-onnx`, `broken-onnx` (truncated, not ONNX),
    `not-a-classifier` (with what was found), `fixed-batch` (the graph works for one batch size only).
    """
    model = load(path)
    image_name, image, layout = image_input(model, path, layout)
    scores_name, classes = _scores_output(model, path)
    _rename(model.graph, {image_name: "images", scores_name: "logits"})
    if layout == "nhwc":
        feed_nchw(model.graph)
    _keep_first_output(model.graph)
    _set_shapes(model.graph, [BATCH_AXIS, *image[1:]], [BATCH_AXIS, classes])
    shape = int(image[1]), int(image[2]), int(image[3])
    if isinstance(image[0], int):
        _free_reshapes(model.graph, image[0])
        _prove_free_batch(model, path, image[0], shape)
    look = Preprocessing() if shape[0] == 3 else Preprocessing(mean=(0.5,), std=(0.5,), channels="grey")
    look = replace(noted_preprocessing(model) or look, layout=layout)
    return model, ModelCard(name=path.stem, input_shape=shape, classes=classes, preprocessing=look)


def save(model: "ModelProto", path: Path) -> None:
    """Write a model; weights of more than 2 GiB go to a second file beside it."""
    import onnx

    large = model.ByteSize() > onnx.checker.MAXIMUM_PROTOBUF
    onnx.save(model, path, save_as_external_data=large, location=f"{path.name}.data" if large else None)


def load(path: Path | bytes, extra: str = "onnxruntime") -> "ModelProto":
    """Read and check a file, or the bytes of one.

    Raises MissingPackage, whose remedy installs `extra`, or DataError (`missing-onnx`, `broken-onnx`).
    """
    try:
        import onnx
    except ImportError:
        raise MissingPackage("onnx", extra) from None
    if isinstance(path, Path) and not path.is_file():
        raise DataError("missing-onnx", f"There is no file {path}.", "Check the path.")
    try:
        onnx.checker.check_model(path)
        return onnx.load(path) if isinstance(path, Path) else onnx.load_from_string(path)
    except Exception as wrong:  # protobuf, the checker and external data each have their own errors
        reason = str(wrong).strip().partition("\n")[0].rstrip(".") or type(wrong).__name__
        name = path if isinstance(path, Path) else "The ONNX graph"
        raise DataError(
            "broken-onnx", f"{name} is not a complete ONNX model: {reason}.", "Export or copy it again."
        ) from wrong


def not_a_classifier(path: Path | str, found: str) -> DataError:
    """The error for a file that holds something else; `found` says what."""
    return DataError("not-a-classifier", f"{path} is not an image classifier: {found}.", _NAME_A_CLASSIFIER)


def _shape(value: "ValueInfoProto") -> Shape:
    axes = value.type.tensor_type.shape.dim
    return [a.dim_value if a.HasField("dim_value") else a.dim_param or "?" for a in axes]


def image_input(model: "ModelProto", path: Path | str, layout: str | None) -> tuple[str, Shape, str]:
    """Name, shape (N, C, H, W) and layout of the input, which has the shape's axes in the layout's order.

    Raises DataError (`not-a-classifier`); `path` names the file in it.
    """
    from onnx import TensorProto

    weights = {tensor.name for tensor in model.graph.initializer}  # old files list them as inputs too
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise not_a_classifier(path, f"it has {len(inputs)} inputs ({names})")
    stored, kind = _shape(inputs[0]), inputs[0].type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise not_a_classifier(path, f"its input is {TensorProto.DataType.Name(kind).lower()}, not float32")
    layout = layout or layout_of(stored)
    shape = [stored[axis] for axis in (0, 3, 1, 2)] if layout == "nhwc" and len(stored) == 4 else stored
    if len(shape) != 4 or shape[1] not in (1, 3) or not all(isinstance(side, int) for side in shape[1:]):
        raise not_a_classifier(path, f"its input has the shape {_text(stored)}")
    return inputs[0].name, shape, layout


def _scores_output(model: "ModelProto", path: Path) -> tuple[str, int]:
    import onnx

    output = model.graph.output[0]
    shape = _shape(output)
    if len(shape) != 2 or not isinstance(shape[1], int):
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        shape = _shape(inferred.graph.output[0])
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise not_a_classifier(path, f"its output '{output.name}' has the shape {_text(shape)}")
    return output.name, shape[1]


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


def _rename(graph: "GraphProto", names: dict[str, str]) -> None:
    """Give values new names throughout; another value that bears one of them steps aside."""
    aside = {new: f"{new}_inner" for old, new in names.items() if old != new}
    names = {**aside, **names}
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)


def _keep_first_output(graph: "GraphProto") -> None:
    del graph.output[1:]


def _set_shapes(graph: "GraphProto", images: Shape, logits: Shape) -> None:
    from onnx import TensorProto, helper

    weights = {tensor.name for tensor in graph.initializer}
    for value in [v for v in graph.input if v.name not in weights]:
        value.CopyFrom(helper.make_tensor_value_info("images", TensorProto.FLOAT, images))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, logits))
    del graph.value_info[:]  # they may still hold the fixed batch


def _free_reshapes(graph: "GraphProto", batch: int) -> None:
    """Where a constant target shape begins with the fixed batch, keep the input's first axis instead (0)."""
    import numpy as np
    from onnx import numpy_helper

    constants: dict[str, Any] = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            constants[node.output[0]] = node.attribute[0].t
    uses = Counter(name for node in graph.node for name in node.input)
    for node in graph.node:
        target = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        shape = numpy_helper.to_array(target) if target is not None else np.zeros(0)
        if target is None or len(shape) < 2 or shape[0] != batch or uses[node.input[1]] > 1:
            continue
        freed = np.concatenate([np.zeros(1, np.int64), shape[1:]])
        target.CopyFrom(numpy_helper.from_array(freed, target.name))


def _prove_free_batch(model: "ModelProto", path: Path, batch: int, shape: tuple[int, int, int]) -> None:
    """Run three images at once and one by one: only the same answers prove that the batch is free."""
    import numpy as np

    from tensordyno.models.reference import onnx_logits

    images = np.random.default_rng(0).standard_normal((3, *shape), dtype=np.float32)
    try:
        together = onnx_logits(model.SerializeToString(), images)
        single = np.concatenate([onnx_logits(model.SerializeToString(), one[None]) for one in images])
        free = together.shape == single.shape and np.allclose(together, single, rtol=1e-3, atol=1e-4)
    except MissingPackage:
        raise
    except Exception:  # whatever the runtime makes of a shape that does not fit
        free = False
    if not free:
        raise DataError(
            "fixed-batch",
            f"{path} works for batches of {batch} only.",
            "Export it again with a symbolic batch axis (torch.onnx.export: dynamic_shapes).",
        )
