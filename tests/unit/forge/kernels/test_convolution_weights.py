from dataclasses import replace
from itertools import product

import numpy as np
import torch
from forge_convolutions import REAL, convolution_of, convolutions
from forge_launching import laid
from hypothesis import given

from tensordyno.forge.graph import Clamp
from tensordyno.forge.kernels.convolution_shape import shape_of
from tensordyno.forge.kernels.convolution_weights import channel_arrays, epilogue_of, product_arrays
from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.reference_convolution import real_weight
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision


def multiplied(operation):
    """Weights (out, in / groups, height, width) as the arithmetic has them."""
    if operation.precision is Precision.INT8:
        return operation.node.weight
    return rounded(real_weight(operation.node), operation.precision)


def numbers(array, operation):
    """As float64; the bits of bf16 stand as int16."""
    if operation.precision is Precision.BF16:
        array = torch.from_numpy(array).view(torch.bfloat16).float().numpy()
    return array.astype(np.float64)


@given(convolutions([Precision.INT8, *REAL]))
def test_each_weight_stands_where_the_kernel_looks_for_it(case):
    operation = case[0]
    node, shape, weight = operation.node, shape_of(operation), multiplied(operation)
    made = product_arrays(operation, shape)["weight"]
    assert made.shape == (shape.groups, shape.out_channels, shape.row_pitch)
    expected = np.zeros(made.shape)
    inputs, outputs = weight.shape[1], len(weight) // node.groups
    for out, channel, y, x in product(*map(range, weight.shape)):
        of_all = out // outputs * inputs + channel
        group, own = divmod(of_all, shape.channels)
        place = (y * shape.kernel_width + x) * shape.tap_pitch + own
        expected[group, out - group * shape.out_channels, place] = weight[out, channel, y, x]
    np.testing.assert_array_equal(numbers(made, operation), expected)


@given(convolutions([Precision.INT8]))
def test_unsigned_sums_are_corrected(case):
    operation = case[0]
    arrays = product_arrays(operation, shape_of(operation))
    assert ("offset" in arrays) == (operation.inputs[0].format is Format.UINT8)
    sums = operation.node.weight.sum(axis=(1, 2, 3), dtype=np.int32)
    np.testing.assert_array_equal(arrays.get("offset", 128 * sums), 128 * sums)


@given(convolutions(REAL, is_depthwise=True))
def test_weights_of_channels_go_tap_after_tap(case):
    operation = case[0]
    made = numbers(channel_arrays(operation)["weight"], operation)
    expected = multiplied(operation).reshape(len(operation.node.weight), -1).T
    np.testing.assert_array_equal(made, expected)


@given(convolutions([Precision.INT8], is_depthwise=True))
def test_four_taps_make_a_word(case):
    operation = case[0]
    words = channel_arrays(operation)["weight"]
    assert words.dtype == np.int32
    taps = words.view(np.int8).reshape(*words.shape, 4).transpose(0, 2, 1).reshape(-1, words.shape[1])
    count = operation.node.weight[0].size
    np.testing.assert_array_equal(taps[:count].T, operation.node.weight.reshape(words.shape[1], count))
    assert not taps[count:].any() and len(taps) - count < 4


def operation_of(precision, formats=(Format.INT8, Format.INT8), **how):
    image = laid(formats[0], 2, 2, 4, scale=0.25)
    output = laid(formats[1], 2, 2, 2, storage="output", scale=0.5)
    weight, scales = np.ones((2, 4, 1, 1), np.int8), np.float32([1, 2])
    return convolution_of(weight, image, output, precision=precision, scales=scales, **how)


def test_constants_by_hand():
    residual = laid(Format.UINT8, 2, 2, 2, storage="residual", scale=2.0)
    operation = operation_of(Precision.INT8, residual=residual, bias=np.float32([3, -1]), clamp=Clamp(0, 6))
    arrays = product_arrays(operation, shape_of(operation))
    assert (arrays["factor"].tolist(), arrays["bias"].tolist()) == ([0.5, 1], [6, -2])
    made = epilogue_of(operation)
    assert (made.residual_factor, made.low, made.high) == (4, 0, 12)
    real = epilogue_of(replace(operation, precision=Precision.FP16))  # the scales are in its operands
    assert (real.factor.tolist(), real.bias.tolist(), real.residual_factor) == ([2, 2], [6, -2], 4)


def test_a_factor_of_one_is_left_out():
    formats = Format.FP16, Format.FP32
    operation = operation_of(Precision.FP16, formats, bias=None)
    arrays = product_arrays(operation, shape_of(operation))
    assert set(arrays) == {"weight", "bias"} and not arrays["bias"].any()
    assert "factor" in product_arrays(operation_of(Precision.FP16), shape_of(operation))
