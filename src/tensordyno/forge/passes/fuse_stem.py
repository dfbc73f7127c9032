"""A stem's convolution takes in the max-pool behind it, for devices whose kernel computes both at once."""

from collections.abc import Callable

import numpy as np

from tensordyno.forge.graph import Convolution, ConvolutionMaxPool, Graph, MaxPool, Tensor
from tensordyno.forge.passes.rewriting import Rewriting


def run(graph: Graph, takes: Callable[[ConvolutionMaxPool], bool] = lambda fused: True) -> Graph:
    """Make one node of each stem and its max-pool, if nobody else reads what lies between.

    Only of those that `takes` wants as one; unless told, of all. Not a part of `simplify`: few kernels
    compute such nodes. A tensor between of other steps than the max-pool's result stays, and so does one
    whose convolution makes integers of real numbers, or the other way.
    """
    rewriting = Rewriting(graph)
    for node in rewriting.nodes():
        if isinstance(node, MaxPool):
            _fuse(node, rewriting, takes)
    return rewriting.result()


def is_stem(convolution: Convolution, pool: MaxPool, image: Tensor) -> bool:
    """Whether these are the first two layers of a residual network, over an image of whole blocks of 4 x 4.

    A convolution of 7 x 7 by steps of 2 from 3 to 64 channels, then maxima of 3 x 3 by steps of 2; of real
    numbers, or of int8 with weight scales that let a maximum be taken of the sums.
    """
    scales = convolution.weight_scale
    integers = scales is not None and bool(np.all(scales >= 0)) and not image.unsigned
    return (
        (image.scale is None or integers)
        and len(image.shape) == 3
        and all(size % 4 == 0 for size in image.shape[1:])
        and convolution.weight.shape == (64, 3, 7, 7)
        and (convolution.stride, convolution.pads) == ((2, 2), (3, 3, 3, 3))
        and (convolution.dilation, convolution.groups) == ((1, 1), 1)
        and not convolution.has_residual
        and (pool.kernel, pool.stride, pool.pads) == ((3, 3), (2, 2), (1, 1, 1, 1))
        and not pool.ceil
    )


def _fuse(pool: MaxPool, rewriting: Rewriting, takes: Callable[[ConvolutionMaxPool], bool]) -> None:
    before = rewriting.producer(pool.inputs[0])
    if not isinstance(before, Convolution) or not rewriting.is_read_only_by(before.output, pool):
        return
    image, steps = rewriting.tensor(before.inputs[0]), rewriting.steps(before.output)
    same = steps == rewriting.steps(pool.output) and (steps is None) == (image.scale is None)
    if not same or not is_stem(before, pool, image):
        return
    fused = ConvolutionMaxPool(
        name=before.name, inputs=before.inputs, output=pool.output, convolution=before, pool=pool
    )
    if takes(fused):
        rewriting.remove(pool)
        rewriting.replace(before, fused)
