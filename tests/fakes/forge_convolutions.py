"""Convolutions for kernels, of any format, window, group and place, and what is expected of them."""

from dataclasses import replace

import numpy as np
import torch
from forge_fma import rounds_once
from forge_launching import (
    ELEMENTS,
    INTEGERS,
    ON_GPU,
    ROUNDED,
    laid,
    numbers_for,
    run_operation,
    target,
    tensor_of,
    views,
)
from hypothesis import assume
from hypothesis import strategies as st

from tensordyno.forge.graph import Clamp, Convolution
from tensordyno.forge.kernels.number_formats import rounded, spacing
from tensordyno.forge.kernels.reference_convolution import convolution, real_weight
from tensordyno.forge.kernels.reference_folded import folded_convolution
from tensordyno.forge.kernels.reference_values import Value
from tensordyno.forge.kernels.reference_windows import extent, window_count
from tensordyno.forge.program import Format, Operation
from tensordyno.vocabulary import Precision

CLAMPS = (None, Clamp(), Clamp(0, 6), Clamp(-1.5, 2.5))
REAL = (Precision.FP16, Precision.BF16, Precision.TF32, Precision.FP32)
WINDOWS = (  # and what is padded
    *(((1, 1), (0, 0, 0, 0)), ((2, 3), (0, 0, 0, 0)), ((3, 3), (1, 1, 1, 1))),
    *(((2, 2), (0, 0, 1, 1)), ((3, 2), (0, 1, 2, 0)), ((1, 5), (0, 2, 0, 2))),
)
FORMATS = st.sampled_from(list(Format))


def convolution_of(
    weight, image, output, *, residual=None, precision=Precision.INT8, scales=None, seed=0, **attributes
):
    """An operation over views, with random weight scales and biases."""
    random = np.random.default_rng(seed)
    out = len(weight)
    if scales is None and weight.dtype == np.int8:
        scales = random.uniform(0.001, 0.004, out).astype(np.float32)
    node = Convolution(
        name="conv",
        inputs=("image", "residual")[: 1 + (residual is not None)],
        output="output",
        weight=weight,
        weight_scale=scales,
        **({"bias": random.standard_normal(out).astype(np.float32)} | attributes),
    )
    inputs = (image,) if residual is None else (image, residual)
    return Operation(node=node, inputs=inputs, output=output, precision=precision)


def integer_weight(random, *shape):
    return random.integers(-127, 128, shape, np.int8)


@st.composite
def channel_counts(draw, is_depthwise):
    """Inputs, outputs and groups; few, whole vectors, and what is no multiple of a tile."""
    if is_depthwise:
        channels = draw(st.sampled_from([1, 5, 16, 24, 40]))
        return channels, channels, channels
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    into = draw(st.sampled_from([1, 3, 8, 16, 20, 36, 48]))
    out = draw(st.sampled_from([1, 6, 16, 32, 40]))
    return into * groups, out * groups, groups


@st.composite
def convolutions(draw, precisions, is_depthwise=False):
    """An operation, a batch size and a seed for its numbers."""
    random = np.random.default_rng(seed := draw(st.integers(0, 2**32)))
    precision = draw(st.sampled_from(precisions))
    is_integer = precision is Precision.INT8
    into, out, groups = draw(channel_counts(is_depthwise))
    kernel, pads = draw(st.sampled_from(WINDOWS))
    stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    height, width = draw(st.sampled_from([(5, 7), (6, 4), (1, 1), (3, 8)]))
    spans = extent(kernel, dilation)
    assume(height + pads[0] + pads[2] >= spans[0] and width + pads[1] + pads[3] >= spans[1])
    out_height = window_count(height, spans[0], stride[0], (pads[0], pads[2]))
    out_width = window_count(width, spans[1], stride[1], (pads[1], pads[3]))
    formats = st.sampled_from(INTEGERS) if is_integer else FORMATS
    image = draw(views(height, width, into, formats=formats))
    if draw(st.integers(0, 3)) == 0:  # the program's input: no padding
        image = laid(image.format, height, width, into, grain=1)
    output = draw(views(out_height, out_width, out, "output"))
    residual = draw(st.none() | views(out_height, out_width, out, "residual"))
    shape = (out, into // groups, *kernel)
    if is_integer or draw(st.booleans()):
        weight = integer_weight(random, *shape)
    else:
        weight = random.standard_normal(shape).astype(np.float32)
    operation = convolution_of(
        weight,
        image,
        output,
        residual=residual,
        precision=precision,
        seed=seed,
        stride=stride,
        pads=pads,
        dilation=dilation,
        groups=groups,
        clamp=draw(st.sampled_from(CLAMPS)),
    )
    return operation, draw(st.sampled_from([1, 3])), seed


def check(kernel, operation, batch_size, seed, **how):
    """Run an operation on random numbers by its choices, on a GPU by two, and compare with its oracle."""
    assert kernel.takes(operation, target())
    choices = kernel.choices(operation, batch_size, target())
    random = np.random.default_rng(seed)
    inputs = numbers_of(operation, batch_size, random)
    for choice in random.permutation(choices)[:2].tolist() if ON_GPU else choices:
        found = run_operation(kernel, operation, choice, batch_size, inputs, **how)
        assert_as_oracle(operation, inputs, found)


def numbers_of(operation, batch_size, random):
    """Numbers for all inputs."""
    return [numbers_for(view, batch_size, random) for view in operation.inputs]


def assert_as_oracle(operation, inputs, found):
    """Compare what a kernel made of inputs (batch, height, width, channels) with its oracle."""
    if operation.precision is Precision.INT8:
        assert_integer(operation, inputs, found)
    else:
        assert_real(operation, inputs, found)


def assert_integer(operation, inputs, found):
    """Bit for bit, in the order of reference_folded.py."""
    values = _values(operation, inputs)
    output = operation.output
    made = folded_convolution(operation.node, values, tensor_of(output), contracts=rounds_once()).numbers
    expected = made.transpose(0, 2, 3, 1)
    if output.format not in INTEGERS:
        expected = rounded(expected, ROUNDED[output.format])
    np.testing.assert_array_equal(found, expected)


def assert_real(operation, inputs, found):
    """Within the bound of number_formats.py, in which terms and roundings of the epilogue are counted too."""
    node, output = operation.node, operation.output
    weight = rounded(real_weight(node), operation.precision)
    image, *residual = _values(operation, inputs)
    node = replace(node, weight=weight, weight_scale=None)
    image = Value(rounded(image.real, operation.precision))
    tensor = replace(tensor_of(output), scale=None, unsigned=False)
    expected = convolution(node, [image, *residual], tensor).numbers.astype(np.float64)
    bare = replace(
        node, weight=np.abs(weight), clamp=None, bias=None if node.bias is None else np.abs(node.bias)
    )
    terms = [Value(np.abs(image.real)), *(Value(np.abs(value.real)) for value in residual)]
    size = convolution(bare, terms, tensor).numbers
    bound = (weight[0].size + 6) * 2.0**-24 * size
    if output.scale is None:
        bound += spacing(expected, ROUNDED[output.format])
    else:
        kind = np.iinfo(output.format.value)
        expected = np.clip(expected, kind.min * output.scale, kind.max * output.scale)
        found = found * np.float64(output.scale)
        bound += output.scale * 0.500001
    apart = np.abs(found - expected.transpose(0, 2, 3, 1))
    assert (apart <= bound.transpose(0, 2, 3, 1)).all(), float((apart / bound.transpose(0, 2, 3, 1)).max())


def _values(operation, inputs):
    """(n, channels, height, width), as the oracle takes them."""
    scales = (None if view.scale is None else np.float32(view.scale) for view in operation.inputs)
    return [
        Value(numbers.transpose(0, 3, 1, 2), scale) for numbers, scale in zip(inputs, scales, strict=True)
    ]


def compiled_launch(kernel, operation, target, batch_size=256):
    """The launch of the first choice, over tensors that only the compiler looks at."""
    weights = {name: torch.tensor(array) for name, array in kernel.weights(operation).items()}
    choice = kernel.choices(operation, batch_size, target)[0]
    return kernel.launch(
        operation,
        choice,
        batch_size,
        lambda view: torch.empty(256, dtype=ELEMENTS[view.format]),
        weights,
        target,
    )
