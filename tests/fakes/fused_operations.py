"""Ends of residual blocks for Hopper's int8 kernels, made at random, and what has to become of them."""

from dataclasses import replace

from hopper_operations import RELU, convolution_operation, folded_results

from tensordyno.forge.graph import Fused, Tensor
from tensordyno.forge.parts import parts_of
from tensordyno.forge.program import Operation
from tensordyno.vocabulary import Precision


def shortcut_operation(
    shortcut_channels,
    channels,
    out_channels,
    *,
    size=(8, 8),
    stride=(1, 1),
    shortcut_clamp=None,
    clamp=RELU,
    beside=0,
    seed=0,
):
    """A 1 x 1 convolution over an image of that size, added to one over an image of its result's size.

    `beside`: other channels before and behind those of each tensor.
    """
    first = convolution_operation(
        shortcut_channels,
        out_channels,
        size=size,
        stride=stride,
        clamp=shortcut_clamp,
        beside=beside,
        seed=seed,
    )
    out = (first.output.height, first.output.width)
    second = convolution_operation(
        channels, out_channels, size=out, residual=True, clamp=clamp, beside=2 * beside, seed=seed + 1000
    )
    node = Fused(
        name="end",
        inputs=("block", "image"),
        output="output",
        parts=(
            replace(first.node, name="shortcut", inputs=("block",), output="between"),
            replace(second.node, name="expand", inputs=("image", "between")),
        ),
        between=(Tensor("between", (out_channels, *out), second.inputs[1].scale),),
    )
    block = replace(first.inputs[0], storage="block", scale=0.06)
    return Operation(
        node=node, inputs=(block, second.inputs[0]), output=second.output, precision=Precision.INT8
    )


def shortcut_results(operation, shortcut_sums, sums):
    """int8 of exact sums of both, (batch, height, width, channels), as reference_folded.py says of each."""
    shortcut, expand = parts_of(operation)
    return folded_results(expand, sums, folded_results(shortcut, shortcut_sums))
