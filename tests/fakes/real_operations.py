"""Operations for Hopper's kernels of fp16 and bf16, made at random."""

from dataclasses import replace

import numpy as np
from fused_operations import shortcut_operation
from hopper_operations import RELU, convolution_operation, stem_operation

from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

FORMATS = {Precision.FP16: Format.FP16, Precision.BF16: Format.BF16}


def real_operation(channels, out_channels, *, precision=Precision.FP16, clamp=RELU, seed=0, **more):
    """A convolution of real numbers, as large as what goes in; the rest as for `convolution_operation`."""
    operation = convolution_operation(channels, out_channels, clamp=clamp, seed=seed, **more)
    random = np.random.default_rng(seed)
    node = operation.node
    views = {view: real(view, FORMATS[precision]) for view in (*operation.inputs, operation.output)}
    return replace(
        operation,
        node=replace(node, weight=real_weight(node, random), weight_scale=None),
        inputs=tuple(views[view] for view in operation.inputs),
        output=views[operation.output],
        precision=precision,
    )


def real_weight(node, random):
    """Numbers in the place of a node's weights, whose products add up to about 1."""
    weight = random.standard_normal(node.weight.shape) / node.weight[0].size ** 0.5
    return weight.astype(np.float32)


def real(view, format):
    """A view in a format of real numbers."""
    return replace(view, format=format, scale=None)


def real_stem(out_channels=64, *, size=(32, 24), channels=3, kernel=(7, 7), stride=(2, 2), **more):
    """The first layer of a residual network; the rest as for `real_operation`."""
    operation = real_operation(channels, out_channels, size=size, kernel=kernel, stride=stride, **more)
    image = replace(operation.inputs[0], pitch=channels, first=0)
    return replace(operation, inputs=(image,))


def real_shortcut(*channels, precision=Precision.FP16, seed=0, **more):
    """The end of a residual block, of real numbers; the rest as for `shortcut_operation`."""
    operation = shortcut_operation(*channels, seed=seed, **more)
    random = np.random.default_rng(seed)
    node, format = operation.node, FORMATS[precision]
    parts = tuple(replace(part, weight=real_weight(part, random), weight_scale=None) for part in node.parts)
    between = tuple(replace(tensor, scale=None) for tensor in node.between)
    return replace(
        operation,
        node=replace(node, parts=parts, between=between),
        inputs=tuple(real(view, format) for view in operation.inputs),
        output=real(operation.output, format),
        precision=precision,
    )


def real_pooled_stem(size=(32, 24), *, precision=Precision.FP16, seed=0, **more):
    """The first two layers of a residual network; the rest as for `stem_operation`."""
    operation = stem_operation(size, seed=seed, **more)
    weight = np.random.default_rng(seed).standard_normal((64, 3, 7, 7)) / (3 * 7 * 7) ** 0.5
    convolution = replace(operation.node.convolution, weight=weight.astype(np.float32), weight_scale=None)
    return replace(
        operation,
        node=replace(operation.node, convolution=convolution),
        inputs=(real(operation.inputs[0], FORMATS[precision]),),
        output=real(operation.output, FORMATS[precision]),
        precision=precision,
    )
