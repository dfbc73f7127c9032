"""Reads what changes the shape of a tensor, or nothing at all."""

from collections.abc import Mapping
from dataclasses import replace

from tensordyno.forge.graph import Reshape, Tensor
from tensordyno.forge.onnx_operation import Operation
from tensordyno.forge.onnx_walk import Reader, View, Walk

_REAL = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")  # forge computes in its own format whatever the file says


def _idle(walk: Walk, operation: Operation) -> None:
    """Identity, and Dropout, which does nothing in evaluation."""
    if operation.kind == "Dropout" and operation.input(2) and walk.array(operation, 2):
        raise walk.refusal(operation, "in training mode")
    walk.alias(operation, walk.view(operation))


def _cast(walk: Walk, operation: Operation) -> None:
    from onnx import TensorProto

    view, kind = walk.view(operation), TensorProto.DataType.Name(operation.attributes["to"])
    if kind not in _REAL or view.tensor.scale is not None:
        raise walk.refusal(operation, f"to {kind}")
    walk.alias(operation, view)


def _transpose(walk: Walk, operation: Operation) -> None:
    """Another order of axes is noted, and refused where something reads it that does not undo it."""
    view = walk.view(operation)
    order = operation.attributes.get("perm", list(range(len(view.axes)))[::-1])
    if order[0] != 0:
        raise walk.refusal(operation, "that moves the batch axis")
    walk.alias(operation, replace(view, axes=tuple(view.axes[axis] for axis in order)))


def _reshape(walk: Walk, operation: Operation) -> None:
    """Flatten, Reshape, Squeeze and Unsqueeze, from images or features to features or images."""
    view = walk.view(operation)
    long = [axis for axis, n in zip(view.axes, walk.shape(view), strict=True) if n > 1 or axis == 0]
    if long != sorted(long):
        raise walk.refusal(operation, "of transposed images")
    batch, *shape = _inferred(walk, operation, view)
    if batch != walk.source.batch:
        raise walk.refusal(operation, "that mixes the images of a batch")
    if len(shape) not in (1, 3):
        raise walk.refusal(operation, f"to the shape ({', '.join(map(str, ('N', *shape)))})")
    tensor = Tensor(operation.output, tuple(shape), view.tensor.scale, view.tensor.unsigned)
    axes = tuple(range(len(shape) + 1))
    if tensor.shape == view.tensor.shape:
        walk.alias(operation, replace(view, axes=axes))
        return
    node = Reshape(name=operation.name, inputs=(view.tensor.name,), output=operation.output)
    walk.add(node, tensor, like=replace(view, axes=axes))


def _inferred(walk: Walk, operation: Operation, view: View) -> list[int]:
    """The shape of an operation's result, by ONNX's own inference. Raises DataError."""
    from onnx import TensorProto, defs, helper, numpy_helper
    from onnx.shape_inference import InferenceError, infer_node_outputs

    opset = walk.source.opset
    constants = {
        name: numpy_helper.from_array(walk.array(operation, position), name)
        for position, name in enumerate(operation.inputs)
        if position and name
    }
    types = {
        operation.input(0): helper.make_tensor_type_proto(TensorProto.FLOAT, walk.shape(view)),
        **{
            name: helper.make_tensor_type_proto(each.data_type, each.dims) for name, each in constants.items()
        },
    }
    try:
        found = infer_node_outputs(
            defs.get_schema(operation.kind, opset, ""),
            operation.node,
            types,
            constants,
            opset_imports=[helper.make_opsetid("", opset)],
        )
    except InferenceError as wrong:
        raise walk.refusal(operation, f"of the shape {walk.shape(view)}") from wrong
    return [axis.dim_value for axis in found[operation.output].tensor_type.shape.dim]


READERS: Mapping[str, Reader] = {
    "Identity": _idle,
    "Dropout": _idle,
    "Cast": _cast,
    "Transpose": _transpose,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
}
