"""A fused operation taken apart: what it would be if each of its layers were computed by itself."""

from tensordyno.forge.graph import ConvolutionMaxPool, Fused, Node, Tensor
from tensordyno.forge.program import CHANNEL_GRAIN, Format, Operation, View
from tensordyno.vocabulary import Precision

_FORMATS = {  # of what lies between parts, by their arithmetic
    Precision.INT8: Format.INT8,
    Precision.FP16: Format.FP16,
    Precision.BF16: Format.BF16,
    Precision.TF32: Format.FP32,
    Precision.FP32: Format.FP32,
}


def layers_of(node: Node) -> tuple[Node, ...]:
    """The layers that a node computes, in order: itself, or those that were fused."""
    if isinstance(node, ConvolutionMaxPool):
        return node.convolution, node.pool
    return node.parts if isinstance(node, Fused) else (node,)


def parts_of(operation: Operation) -> tuple[Operation, ...]:
    """An operation for each part of a Fused node, in order.

    What lies between has a storage of its own name, whole groups of channels a pixel, and the format of the
    operation's arithmetic. The views from outside and of the result are those of the fused operation.
    """
    node = operation.node
    assert isinstance(node, Fused)
    views = dict(zip(node.inputs, operation.inputs, strict=True))
    format = _FORMATS[operation.precision]
    views |= {tensor.name: _between(tensor, format) for tensor in node.between}
    views[node.output] = operation.output
    return tuple(
        Operation(
            node=part,
            inputs=tuple(views[name] for name in part.inputs),
            output=views[part.output],
            precision=operation.precision,
        )
        for part in node.parts
    )


def made_by(operation: Operation) -> tuple[View, ...]:
    """What lies between the parts of an operation, where it has some, and its output."""
    if not isinstance(operation.node, Fused):
        return (operation.output,)
    return tuple(part.output for part in parts_of(operation))


def between_bytes(operation: Operation) -> dict[str, int]:
    """The bytes for one image of each storage between the parts of an operation."""
    views = made_by(operation)[:-1]
    return {view.storage: view.pixels * view.pitch * view.format.width_bytes for view in views}


def _between(tensor: Tensor, format: Format) -> View:
    channels, height, width = tensor.shape
    return View(
        storage=tensor.name,
        format=format,
        height=height,
        width=width,
        channels=channels,
        pitch=-(-channels // CHANNEL_GRAIN) * CHANNEL_GRAIN,
        scale=tensor.scale,
    )
