"""A stem's convolution takes in the max-pool behind it, for devices whose kernel computes both at once."""

import numpy as np

from tensordyno.forge.graph import Convolution, ConvolutionMaxPool, Graph, MaxPool, Tensor
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph) -> Graph:
    """Make one node of each stem and its max-pool, if nobody else reads what lies between.

    Not a part of `simplify`: only one kernel computes such nodes. A tensor between of other steps than the
    max-pool's result stays.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, MaxPool):
            _fuse(node, rewriting)
    return rewriting.result()


def is_stem(convolution: Convolution, pool: MaxPool, image: Tensor) -> bool:
    """Whether these are the first two layers of a residual network, over an image of whole blocks of 4 x 4.

    A convolution of 7 x 7 by steps of 2 from 3 to 64 channels, then maxima of 3 x 3 by steps of 2; int8, and
    with weight scales that let a maximum be taken of the sums.
    """
    scales = convolution.weight_scale
    integers = image.scale is not None and not image.unsigned
    return (
        integers
        and len(image.shape) == 3
        and all(size % 4 == 0 for size in image.shape[1:])
        and convolution.weight.shape == (64, 3, 7, 7)
        and (convolution.stride, convolution.pads) == ((2, 2), (3, 3, 3, 3))
        and (convolution.dilation, convolution.groups) == ((1, 1), 1)
        and not convolution.has_residual
        and scales is not None
        and bool(np.all(scales >= 0))
        and (pool.kernel, pool.stride, pool.pads) == ((3, 3), (2, 2), (1, 1, 1, 1))
        and not pool.ceil
    )


def _fuse(pool: MaxPool, rewriting: Rewriting) -> None:
    before = rewriting.producer(pool.inputs[0])
    if not isinstance(before, Convolution) or not rewriting.is_read_only_by(before.output, pool):
        return
    same = rewriting.steps(before.output) == rewriting.steps(pool.output) is not None
    if not same or not is_stem(before, pool, rewriting.tensor(before.inputs[0])):
        return
    rewriting.remove(pool)
    fused = ConvolutionMaxPool(
        name=before.name, inputs=before.inputs, output=pool.output, convolution=before, pool=pool
    )
    rewriting.replace(before, fused)
