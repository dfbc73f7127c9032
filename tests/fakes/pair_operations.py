"""Fused operations of two int8 convolutions, 3 x 3 and 1 x 1 behind it, and what they have to make."""

import numpy as np
from hopper_operations import RELU, view

from tensordyno.forge.graph import Convolution, Fused, Tensor
from tensordyno.forge.kernels.reference_windows import window_count
from tensordyno.forge.program import Operation
from tensordyno.vocabulary import Precision


def pair_operation(
    channels,
    out_channels=None,
    *,
    size=(8, 8),
    stride=(1, 1),
    residual=False,
    clamp=RELU,
    between_clamp=RELU,
    beside=0,
    seed=0,
):
    """Made at random; `out_channels` is 4 * `channels` unless told, `beside` as in `convolution_operation`.

    Biases are small, so that a ReLU leaves about half of what lies between.
    """
    random = np.random.default_rng(seed)
    out_channels = out_channels or 4 * channels
    height, width = (window_count(size[i], 3, stride[i], (1, 1)) for i in (0, 1))
    window = Convolution(
        name="window",
        inputs=("image",),
        output="between",
        weight=random.integers(-127, 128, (channels, channels, 3, 3), np.int8),
        weight_scale=_scales(random, channels, 9 * channels),
        bias=random.standard_normal(channels).astype(np.float32),
        stride=stride,
        pads=(1, 1, 1, 1),
        clamp=between_clamp,
    )
    expand = Convolution(
        name="expand",
        inputs=("between", "residual") if residual else ("between",),
        output="output",
        weight=random.integers(-127, 128, (out_channels, channels, 1, 1), np.int8),
        weight_scale=_scales(random, out_channels, channels),
        bias=random.standard_normal(out_channels).astype(np.float32),
        clamp=clamp,
    )
    inputs = ("image", "residual") if residual else ("image",)
    node = Fused(
        name="window+expand",
        inputs=inputs,
        output="output",
        parts=(window, expand),
        between=(Tensor("between", (channels, height, width), 0.03),),
    )
    image = view("image", *size, channels, first=beside, more=2 * beside)
    other = view("residual", height, width, out_channels, scale=0.021, more=beside)
    return Operation(
        node=node,
        inputs=(image, other) if residual else (image,),
        output=view("output", height, width, out_channels, scale=0.04, first=2 * beside, more=beside),
        precision=Precision.INT8,
    )


def _scales(random, count, products):
    """Of weights, so that sums of so many products fill int8 and seldom more."""
    return random.uniform(0.2, 1, count).astype(np.float32) / np.float32(products**0.5 * 200)
