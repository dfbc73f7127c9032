import numpy as np
import pytest
from forge_convolutions import convolution_of, integer_weight
from forge_launching import laid

from tensordyno.forge.kernels.convolution_choices import interpreted_choices, product_choices
from tensordyno.forge.kernels.convolution_shape import shape_of
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision

LAYERS = {  # channels in, out, size, kernel, groups
    "stem": (3, 64, 112, 7, 1),
    "reduce": (256, 64, 56, 1, 1),
    "three": (128, 128, 28, 3, 1),
    "five": (24, 64, 28, 5, 1),
    "narrow": (144, 24, 28, 1, 1),
    "depthwise": (144, 144, 28, 3, 144),
    "features": (9216, 4096, 1, 1, 1),
    "tiny": (1, 1, 1, 1, 1),
}
WIDTHS = {Precision.INT8: 1, Precision.FP16: 2, Precision.BF16: 2, Precision.TF32: 4, Precision.FP32: 4}
SHARED = {(8, 0): 163, (8, 9): 99, (9, 0): 227}  # KiB a program may have (CUDA C++ programming guide)


def layer(name):
    into, out, size, kernel, groups = LAYERS[name]
    image = laid(Format.INT8, size, size, into, grain=1 if into == 3 else 16)
    output = laid(Format.INT8, size, size, out, storage="output")
    weight = integer_weight(np.random.default_rng(0), out, into // groups, kernel, kernel)
    return shape_of(convolution_of(weight, image, output, pads=(kernel // 2,) * 4, groups=groups))


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("precision", WIDTHS)
@pytest.mark.parametrize("name", LAYERS)
def test_choices_fit_the_device_and_the_matrix_unit(name, precision, capability):
    shape = layer(name)
    for images in (1, 8, 256):
        choices = product_choices(shape, images * shape.out_height * shape.out_width, precision, capability)
        assert 1 <= len(set(choices)) == len(choices) <= 12
        for rows, columns, depth, is_flat, warps, stages in choices:
            for size in (rows, columns, depth, warps):
                assert size & (size - 1) == 0
            assert rows >= 16 and columns >= 16 and depth >= (32 if precision is Precision.INT8 else 16)
            assert (rows + columns) * depth * stages * WIDTHS[precision] <= SHARED[capability] * 1024
            assert rows * columns <= 128 * 32 * warps  # sums of a thread
            assert not is_flat or shape.taps > 1


def programs(choice, shape, rows):
    return -(-rows // choice[0]) * -(-shape.out_channels // choice[1])


@pytest.mark.parametrize("name", ["reduce", "three", "features"])
def test_few_pixels_are_cut_small_and_many_large(name):
    shape = layer(name)
    pixels = shape.out_height * shape.out_width
    one = product_choices(shape, pixels, Precision.INT8, (9, 0))[0]
    many = product_choices(shape, 4096 * pixels, Precision.INT8, (9, 0))[0]
    assert programs(one, shape, pixels) >= 98
    assert one[0] * one[1] < many[0] * many[1]
    assert many[0] * many[1] >= 128 * 64


def test_few_channels_go_through_all_taps_at_once():
    assert {choice[3] for choice in product_choices(layer("stem"), 10**5, Precision.INT8, (9, 0))} == {1}
    assert {choice[3] for choice in product_choices(layer("five"), 10**5, Precision.INT8, (9, 0))} == {0, 1}
    assert {choice[3] for choice in product_choices(layer("three"), 10**5, Precision.INT8, (9, 0))} == {0}
    assert {choice[3] for choice in interpreted_choices(layer("five"))} == {0, 1}
