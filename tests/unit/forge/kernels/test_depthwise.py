from dataclasses import replace

import numpy as np
import pytest
from ahead_of_time import all_resources
from forge_convolutions import (
    REAL,
    assert_as_oracle,
    check,
    compiled_launch,
    convolution_of,
    convolutions,
    integer_weight,
)
from forge_launching import laid, run_operation, target
from hypothesis import given, settings

from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.convolution import ImplicitProduct
from tensordyno.forge.kernels.depthwise import KERNELS, Depthwise, block_choices
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = Depthwise()


def channelwise(channels, size, kernel=(3, 3), *, formats=(Format.INT8, Format.INT8), **how):
    weight = integer_weight(np.random.default_rng(channels), channels, 1, *kernel)
    image, output = laid(formats[0], *size, channels), laid(formats[1], *size, channels, storage="output")
    pads = (kernel[0] // 2, kernel[1] // 2) * 2
    return convolution_of(weight, image, output, pads=pads, groups=channels, **how)


@settings(max_examples=40)
@given(convolutions([Precision.INT8], is_depthwise=True))
def test_integers_are_exact(case):
    check(KERNEL, *case)


@settings(max_examples=40)
@given(convolutions(REAL, is_depthwise=True))
def test_real_numbers_stay_within_the_bound(case):
    check(KERNEL, *case)


@given(convolutions([Precision.INT8, *REAL], is_depthwise=True))
@settings(max_examples=20)
def test_the_matrix_product_computes_it_too(case):
    check(ImplicitProduct(), *case)


@pytest.mark.parametrize("format", [Format.INT8, Format.UINT8])
def test_integers_of_the_largest_size_and_one_sign(format):
    operation = channelwise(20, (5, 6), (5, 5), formats=(format, Format.FP32))
    operation = replace(operation, node=replace(operation.node, weight=np.full((20, 1, 5, 5), -128, np.int8)))
    least_or_most = np.iinfo(format.value).min or np.iinfo(format.value).max
    inputs = [np.full((1, 5, 6, 20), least_or_most, format.value)]
    for choice in KERNEL.choices(operation, 1, target()):
        assert_as_oracle(operation, inputs, run_operation(KERNEL, operation, choice, 1, inputs))


@pytest.mark.parametrize("garbage", [float("inf"), float("nan")])
def test_what_lies_between_the_pixels_does_not_count(garbage):
    formats = (Format.FP16, Format.FP16)
    check(KERNEL, channelwise(20, (4, 5), formats=formats, precision=Precision.FP16), 3, 0, garbage=garbage)


def test_it_takes_one_output_a_channel_and_few_taps():
    operation = channelwise(16, (9, 9), (7, 7))
    two_outputs = replace(operation.node, weight=np.zeros((32, 1, 7, 7), np.int8))
    assert KERNEL.takes(operation, Target())
    assert not KERNEL.takes(replace(operation, node=two_outputs), Target())
    assert not KERNEL.takes(channelwise(16, (9, 9), (9, 9)), Target())
    assert not KERNEL.takes(replace(operation, precision=Precision.FP8), Target())
    assert [type(kernel) for kernel in KERNELS] == [Depthwise]


@pytest.mark.parametrize("channels", [1, 16, 24, 96, 144, 960])
def test_blocks_are_powers_of_two_and_the_first_leaves_few_lanes_idle(channels):
    choices = block_choices(channels, 1000)
    assert len(set(choices)) == len(choices) <= 12
    assert all(size & (size - 1) == 0 for choice in choices for size in choice)
    width = choices[0][1]
    assert -(-channels // width) * width <= max(4 * channels // 3, 16)


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
def test_layers_compile_without_spills(capability):
    formats = (Format.INT8, Format.UINT8, Format.FP16)
    precisions = (Precision.INT8, Precision.INT8, Precision.FP16)
    where = Target(capability=capability)
    launches = [
        compiled_launch(KERNEL, channelwise(96, (56, 56), formats=(kind, kind), precision=precision), where)
        for kind, precision in zip(formats, precisions, strict=True)
    ]
    for found in all_resources(launches, capability):
        assert found.spills_bytes == 0 and found.waits == (capability >= (9, 0))
