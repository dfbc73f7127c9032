"""Which tensors are the same bytes: a reshape that moves nothing in memory is no operation."""

from collections.abc import Mapping
from types import MappingProxyType

from tensordyno.errors import Unsupported
from tensordyno.forge.graph import Graph, Reshape, Tensor


def aliases(graph: Graph) -> Mapping[str, str]:
    """For every tensor of the graph, the one whose bytes it has: itself, unless a Reshape makes it.

    A Reshape that also rounds makes bytes of its own. So does one whose source is the image, where it makes
    the logits: those are stored otherwise. Raises Unsupported for a Reshape that would move values.
    """
    original = {name: name for name in graph.tensors}
    for node in graph.nodes:
        if not isinstance(node, Reshape):
            continue
        source, target = graph.tensor(node.inputs[0]), graph.tensor(node.output)
        is_image = original[source.name] == graph.input
        if not _keeps_places(source, target, is_image):
            raise Unsupported(
                f"{node.name} reshapes {source.shape} to {target.shape}; forge keeps channels last in memory"
                " and has no kernel that would move them."
            )
        rounds = (source.scale, source.unsigned) != (target.scale, target.unsigned)
        if not rounds and not (is_image and target.name == graph.output):
            original[target.name] = original[source.name]
    return MappingProxyType(original)


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, height, width); features are channels of one pixel."""
    channels, *size = shape
    height, width = size or (1, 1)
    return channels, height, width


def _keeps_places(source: Tensor, target: Tensor, is_image: bool) -> bool:
    """Whether each value stands at the same place in both shapes.

    Value (c, pixel) stands at pixel * pitch + c, so channels and number of pixels must stay. The pixels of an
    image of one channel have no gaps between them if they come from outside: there a value's place is its
    number, in any shape of one channel or one pixel.
    """
    if {len(source.shape), len(target.shape)} - {1, 3}:
        return False
    channels = {image_shape(tensor.shape)[0] for tensor in (source, target)}
    return len(channels) == 1 or (is_image and _is_row(source) and _is_row(target))


def _is_row(tensor: Tensor) -> bool:
    channels, height, width = image_shape(tensor.shape)
    return channels == 1 or height * width == 1
