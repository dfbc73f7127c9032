from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from forge_convolutions import REAL, convolution_of, convolutions
from forge_launching import laid
from hypothesis import given

from tensordyno.forge.graph import Convolution
from tensordyno.forge.kernels.convolution_shape import channel_shape_of, merged_groups, shape_of
from tensordyno.forge.program import Format
from tensordyno.vocabulary import Precision


def pointwise(channels, first=0, more=0, precision=Precision.INT8, **view):
    format = Format.INT8 if precision is Precision.INT8 else Format.FP16
    image = laid(format, 4, 5, channels, first=first, more=more, **view)
    output = laid(Format.INT8, 4, 5, 16, storage="output")
    return convolution_of(np.ones((16, channels, 1, 1), np.int8), image, output, precision=precision)


@pytest.mark.parametrize(
    ("groups", "inputs", "expected"),
    [
        (1, 3, 1),
        (2, 48, 2),  # wide enough
        (32, 4, 4),  # ResNeXt: eight together have 32 channels
        (144, 1, 3),  # depthwise: 48, not 36, for whole vectors
        (32, 1, 1),
        (6, 5, 1),  # all of them are fewer than 32
        (7, 20, 1),  # nothing between one and all
        (11, 33, 11),
    ],
)
def test_narrow_groups_are_merged(groups, inputs, expected):
    weight = np.zeros((groups * 2, inputs, 1, 1), np.int8)
    node = Convolution(name="n", inputs=("i",), output="o", weight=weight, groups=groups)
    assert merged_groups(node) == expected


def seen_pixels(shape):
    """Rows and columns, padding counted negative or behind the image, that windows look at."""
    for y, x in product(range(shape.out_height), range(shape.out_width)):
        for down, right in product(range(shape.kernel_height), range(shape.kernel_width)):
            row = y * shape.stride_height - shape.top + down * shape.dilation_height
            yield row, x * shape.stride_width - shape.left + right * shape.dilation_width


@given(convolutions([Precision.INT8, *REAL]))
def test_borders_and_pointwise_are_what_windows_see(case):
    shape = shape_of(case[0])
    pixels = list(seen_pixels(shape))
    whole = set(product(range(shape.height), range(shape.width)))
    assert shape.has_border == (not set(pixels) <= whole)
    assert shape.is_pointwise == (pixels == sorted(whole))


@given(convolutions([Precision.INT8, *REAL]))
def test_nothing_is_read_behind_the_pixels(case):
    operation = case[0]
    image = operation.inputs[0]
    shape = shape_of(operation)
    assert shape.channels <= shape.readable <= shape.tap_pitch
    assert image.first + (shape.groups - 1) * shape.channels + shape.readable <= image.pitch
    if operation.precision is not Precision.INT8 or shape.groups > 1:
        assert shape.readable == shape.channels


def test_integers_are_read_in_whole_vectors_where_the_pixel_has_them():
    assert shape_of(pointwise(20)).readable == 32
    assert shape_of(pointwise(20, precision=Precision.FP16)).readable == 20
    assert shape_of(pointwise(20, first=5)).readable == 20
    assert shape_of(pointwise(3, grain=1)).readable == 3


@pytest.mark.parametrize(
    ("channels", "kernel", "tap_pitch", "row_pitch"),
    [
        (3, (7, 7), 3, 160),
        (3, (1, 1), 16, 16),
        (24, (5, 5), 24, 608),
        (58, (1, 1), 64, 64),
        (64, (3, 3), 64, 576),
    ],
)
def test_taps_lie_in_vectors_unless_they_are_small(channels, kernel, tap_pitch, row_pitch):
    operation = pointwise(channels)
    weight = np.zeros((16, channels, *kernel), np.int8)
    shape = shape_of(replace(operation, node=replace(operation.node, weight=weight)))
    assert (shape.tap_pitch, shape.row_pitch) == (tap_pitch, row_pitch)


@given(convolutions([Precision.INT8], is_depthwise=True))
def test_channels_by_themselves_are_one_group(case):
    shape = channel_shape_of(case[0])
    assert shape.groups == 1
    assert shape.channels == shape.out_channels == shape.readable == case[0].output.channels
    assert shape.pitch == case[0].inputs[0].pitch
