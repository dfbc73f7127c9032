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
    numbers_of,
)
from forge_launching import laid, run_operation, target
from hypothesis import given, settings

from tensordyno.forge.graph import Clamp, GlobalAveragePool
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.convolution import KERNELS, ImplicitProduct
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

KERNEL = ImplicitProduct()
AROUND = (1, 1, 1, 1)
BF16, FP16, FP32 = Format.BF16, Format.FP16, Format.FP32
INT8, UINT8 = Format.INT8, Format.UINT8


def window(into, out, size, kernel=(3, 3), *, formats=(INT8, INT8), residual=None, grain=16, **how):
    """A convolution that keeps the size of its image, unless it has strides."""
    random = np.random.default_rng(into)
    image = laid(formats[0], *size, into, grain=grain)
    stride = how.get("stride", (1, 1))
    size = -(-size[0] // stride[0]), -(-size[1] // stride[1])
    output = laid(formats[1], *size, out, storage="output")
    residual = residual and laid(residual, *size, out, storage="residual")
    pads = (kernel[0] // 2, kernel[1] // 2) * 2
    weight = integer_weight(random, out, into // how.get("groups", 1), *kernel)
    return convolution_of(weight, image, output, residual=residual, pads=pads, **how)


@settings(max_examples=40)
@given(convolutions([Precision.INT8]))
def test_integers_are_exact(case):
    check(KERNEL, *case)


@settings(max_examples=40)
@given(convolutions(REAL))
def test_real_numbers_stay_within_the_bound(case):
    check(KERNEL, *case)


@pytest.mark.parametrize("garbage", [-128, 127, 0])
def test_what_lies_between_the_pixels_does_not_count(garbage):
    operation = window(20, 20, (4, 5), residual=INT8)
    check(KERNEL, operation, 3, 0, garbage=garbage)


@pytest.mark.parametrize("garbage", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("channels", [20, 36])
def test_nor_if_it_is_not_finite(channels, garbage):
    operation = window(channels, 20, (4, 5), formats=(FP16, FP32), residual=BF16, precision=Precision.FP16)
    check(KERNEL, operation, 3, 0, garbage=garbage)


@pytest.mark.parametrize("batch_size", [1, 7, 255])
def test_features_are_images_of_one_pixel(batch_size):
    check(KERNEL, window(70, 37, (1, 1), (1, 1), formats=(INT8, FP32), clamp=None), batch_size, 1)


def test_samples_of_every_other_pixel():
    check(KERNEL, window(40, 32, (5, 7), (1, 1), stride=(2, 2)), 3, 0)


def test_an_image_of_three_channels_without_padding():
    check(KERNEL, window(3, 24, (9, 7), (7, 7), stride=(2, 2), formats=(UINT8, INT8), grain=1), 3, 0)


def test_integers_of_the_largest_size_and_one_sign():
    operation = window(64, 16, (4, 4), formats=(UINT8, FP32), clamp=Clamp())
    node = replace(operation.node, weight=np.full((16, 64, 3, 3), -128, np.int8))
    operation = replace(operation, node=node)
    inputs = [np.full((1, 4, 4, 64), 255, np.uint8)]
    for choice in KERNEL.choices(operation, 1, target()):
        assert_as_oracle(operation, inputs, run_operation(KERNEL, operation, choice, 1, inputs))


@pytest.mark.parametrize(
    "operation",
    [
        window(16, 48, (3, 9), residual=UINT8),
        window(5, 16, (4, 8)),
        window(64, 64, (3, 3), groups=64, formats=(UINT8, UINT8)),
        window(24, 20, (3, 4), formats=(BF16, FP16), precision=Precision.TF32),
    ],
)
def test_what_a_gpu_chooses_from_computes_the_same(operation):
    inputs = numbers_of(operation, 2, np.random.default_rng(0))
    for choice in KERNEL.choices(operation, 2, Target())[::2]:
        assert_as_oracle(operation, inputs, run_operation(KERNEL, operation, choice, 2, inputs))


def test_it_takes_convolutions_whose_arithmetic_fits():
    operation = window(16, 16, (3, 3))
    real = window(16, 16, (3, 3), formats=(FP16, FP16), precision=Precision.FP16)
    pool = GlobalAveragePool(name="pool", inputs=("image",), output="output")
    assert KERNEL.takes(operation, Target()) and KERNEL.takes(real, Target())
    assert KERNEL.takes(replace(operation, precision=Precision.TF32), Target())
    assert not KERNEL.takes(replace(real, precision=Precision.INT8), Target())
    assert not KERNEL.takes(replace(operation, precision=Precision.FP8), Target())
    assert not KERNEL.takes(replace(operation, node=pool), Target())
    assert [type(kernel) for kernel in KERNELS] == [ImplicitProduct]


LAYERS = {
    "expand": window(64, 256, (56, 56), (1, 1), residual=INT8, clamp=Clamp()),
    "uint8": window(128, 128, (28, 28), formats=(UINT8, UINT8), clamp=Clamp()),
    "three channels": window(3, 32, (224, 224), stride=(2, 2), grain=1),
    "fp16": window(128, 128, (28, 28), formats=(FP16, FP16), precision=Precision.FP16),
    "fp32": window(64, 64, (28, 28), formats=(FP32, FP32), precision=Precision.FP32),
    "integers as bf16": window(64, 64, (28, 28), formats=(UINT8, BF16), precision=Precision.BF16),
}


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
def test_layers_compile_without_spills(capability):
    launches = [
        compiled_launch(KERNEL, operation, Target(capability=capability)) for operation in LAYERS.values()
    ]
    for name, found in zip(LAYERS, all_resources(launches, capability), strict=True):
        print(name, found)
        assert found.spills_bytes == 0 and found.waits == (capability >= (9, 0)), name
        assert found.shared_bytes <= (163 if capability == (8, 0) else 227) * 1024, name
