"""Flat features become images of 1 x 1, and products over flattened images convolutions over whole ones.

An engine keeps images with channels last, ONNX flattens them channels first: without this every first matrix
product of a network would transpose its input.
"""

from dataclasses import replace

from tensordyno.forge.graph import Convolution, GlobalAveragePool, Graph, Reshape
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Give features (F,) the shape (F, 1, 1), and let products read images before they are flattened.

    The image that comes in and the logits that go out keep their shapes, and with them what they meet element
    by element. What makes those as (F, 1, 1) for a reshape makes them as (F,) itself.
    """
    rewriting = Rewriting(graph)
    flat = _stay_flat(graph)
    for name, tensor in graph.tensors.items():
        if len(tensor.shape) == 1 and name not in flat:
            rewriting.set_tensor(replace(tensor, shape=(*tensor.shape, 1, 1)))
    for node in rewriting.nodes():
        if not isinstance(node, Reshape):
            continue
        same_steps = rewriting.steps(node.inputs[0]) == rewriting.steps(node.output)
        if same_steps and not _into_producer(node, rewriting):
            _into_readers(node, rewriting)
    return rewriting.result()


def _stay_flat(graph: Graph) -> frozenset[str]:
    """The image and the logits, and all that must have the shape of one of them."""
    found = {graph.input, graph.output}
    while True:
        before = len(found)
        for node in graph.nodes:
            tied = {*node.inputs, node.output}
            if not isinstance(node, Convolution | Reshape) and found & tied:
                found |= tied
        if len(found) == before:
            return frozenset(found)


def _into_producer(reshape: Reshape, rewriting: Rewriting) -> bool:
    """Let a product or mean make features as (F,), if that is all that the reshape does."""
    source, flat = rewriting.tensor(reshape.inputs[0]), rewriting.tensor(reshape.output)
    producer = rewriting.producer(source.name)
    if not isinstance(producer, Convolution | GlobalAveragePool) or source.shape != (*flat.shape, 1, 1):
        return False
    if not rewriting.is_read_only_by(source.name, reshape):
        return False
    rewriting.remove(reshape)
    rewriting.replace(producer, replace(producer, output=flat.name))
    return True


def _into_readers(reshape: Reshape, rewriting: Rewriting) -> None:
    """Let products read the image; the reshape goes when nobody else reads it."""
    image, flat = rewriting.tensor(reshape.inputs[0]), rewriting.tensor(reshape.output)
    if len(image.shape) != 3 or flat.shape[1:] not in ((), (1, 1)):
        return
    for reader in rewriting.readers(flat.name):
        if isinstance(reader, Convolution) and _is_product(reader, flat.name, image.shape):
            rewriting.replace(reader, _over_image(reader, image.name, image.shape))


def _is_product(node: Convolution, flat: str, shape: tuple[int, ...]) -> bool:
    """Whether a node is a matrix product over `flat`, of groups that are whole channels of the image."""
    is_flat = node.weight.shape[2:] == (1, 1) and not any(node.pads)
    return is_flat and node.inputs[0] == flat and shape[0] % node.groups == 0


def _over_image(node: Convolution, image: str, shape: tuple[int, ...]) -> Convolution:
    """The product as a convolution whose window is the whole image.

    Column c * H * W + y * W + x of the weights becomes (c, y, x).
    """
    channels, height, width = shape
    weight = node.weight.reshape(len(node.weight), channels // node.groups, height, width)
    inputs = (image, *node.inputs[1:])
    return replace(node, inputs=inputs, weight=weight, stride=(1, 1), dilation=(1, 1))
