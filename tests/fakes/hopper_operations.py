"""Operations for Hopper's int8 kernels, made at random, and what those kernels have to make of them."""

import numpy as np

from tensordyno.forge.graph import Clamp, Convolution, ConvolutionMaxPool, MaxPool, Tensor
from tensordyno.forge.kernels.number_formats import fused_multiply_add
from tensordyno.forge.kernels.reference_folded import fold
from tensordyno.forge.kernels.reference_values import store_steps
from tensordyno.forge.kernels.reference_windows import window_count
from tensordyno.forge.program import Format, Operation, View
from tensordyno.vocabulary import Precision

RELU = Clamp()


def view(storage, height, width, channels, *, scale=0.05, first=0, more=0, format=Format.INT8):
    """An int8 image, with `first` channels of others before it in each pixel and `more` behind it."""
    return View(
        storage=storage,
        format=format,
        height=height,
        width=width,
        channels=channels,
        pitch=channels + first + more,
        first=first,
        scale=scale,
    )


def convolution_operation(
    channels,
    out_channels,
    *,
    size=(8, 8),
    kernel=(1, 1),
    stride=(1, 1),
    pads=None,
    residual=False,
    clamp=RELU,
    beside=0,
    seed=0,
):
    """An int8 convolution; `beside`: other channels before and behind those of each tensor."""
    random = np.random.default_rng(seed)
    pads = (kernel[0] // 2, kernel[1] // 2) * 2 if pads is None else pads
    out = [window_count(size[i], kernel[i], stride[i], (pads[i], pads[i + 2])) for i in (0, 1)]
    products = channels * kernel[0] * kernel[1]
    node = Convolution(
        name="convolution",
        inputs=("image", "residual") if residual else ("image",),
        output="output",
        weight=random.integers(-127, 128, (out_channels, channels, *kernel), np.int8),
        weight_scale=random.uniform(0.2, 1, out_channels).astype(np.float32)
        / np.float32(products**0.5 * 200),
        bias=random.standard_normal(out_channels).astype(np.float32),
        stride=stride,
        pads=pads,
        clamp=clamp,
    )
    image = view("image", *size, channels, first=beside, more=2 * beside)
    other = view("residual", *out, out_channels, scale=0.021, more=beside)
    return Operation(
        node=node,
        inputs=(image, other) if residual else (image,),
        output=view("output", *out, out_channels, scale=0.04, first=2 * beside, more=beside),
        precision=Precision.INT8,
    )


def stem_operation(size=(32, 24), *, clamp=RELU, beside=0, seed=0):
    """The first two layers of a residual network."""
    random = np.random.default_rng(seed)
    convolution = Convolution(
        name="stem",
        inputs=("image",),
        output="between",
        weight=random.integers(-127, 128, (64, 3, 7, 7), np.int8),
        weight_scale=random.uniform(0.2, 1, 64).astype(np.float32) / 2000,
        bias=random.standard_normal(64).astype(np.float32),
        stride=(2, 2),
        pads=(3, 3, 3, 3),
        clamp=clamp,
    )
    pool = MaxPool(
        name="pool", inputs=("between",), output="output", kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1)
    )
    node = ConvolutionMaxPool(
        name="stem", inputs=("image",), output="output", convolution=convolution, pool=pool
    )
    output = view("output", size[0] // 4, size[1] // 4, 64, scale=0.04, first=beside, more=beside)
    return Operation(node=node, inputs=(view("image", *size, 3),), output=output, precision=Precision.FP16)


def tensor_of(place):
    """The graph's tensor that lies there."""
    return Tensor(place.storage, (place.channels, place.height, place.width), place.scale)


def folded_results(operation, sums, residual=None):
    """int8 of exact sums (batch, height, width, channels) and residuals, as reference_folded.py says."""
    node = getattr(operation.node, "convolution", operation.node)
    epilogue = fold(node, [tensor_of(place) for place in operation.inputs], tensor_of(operation.output))
    steps = fused_multiply_add(sums.astype(np.float32), epilogue.factor, epilogue.bias)
    if residual is not None:
        steps = fused_multiply_add(residual.astype(np.float32), epilogue.residual_factor, steps)
    steps = np.clip(steps, epilogue.low, epilogue.high)
    return store_steps(steps, tensor_of(operation.output)).numbers
