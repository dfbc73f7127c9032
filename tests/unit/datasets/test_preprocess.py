import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tensordyno.datasets.base import InputFormat
from tensordyno.datasets.preprocess import check_format, input_of_arrays, input_of_image, normalise
from tensordyno.errors import DataError
from tensordyno.records.model import Preprocessing

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
GREY = {"mean": (0.0,), "std": (1.0,), "channels": "grey"}


def wanted(shape, **settings):
    return InputFormat(shape=shape, classes=10, preprocessing=Preprocessing(**settings))


def test_mean_and_deviation_by_hand():
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    inputs = normalise(pixels, wanted((3, 1, 1), mean=(0.5, 0.1, 0.0), std=(0.5, 0.1, 2.0)))
    assert inputs.dtype == np.float32 and inputs.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(inputs.ravel(), [-1.0, 1.0, 0.5], rtol=1e-6)


def test_bgr_turns_the_channels_and_takes_its_mean_in_that_order():
    pixels = np.array([[[[255, 102, 0]]]], np.uint8)
    settings = {"mean": (0.0, 0.4, 0.5), "std": (1.0, 1.0, 1.0), "channels": "bgr"}
    inputs = normalise(pixels, wanted((3, 1, 1), **settings))
    np.testing.assert_allclose(inputs.ravel(), [0.0, 0.0, 0.5], atol=1e-7)


def test_grey_becomes_three_equal_channels_and_colour_becomes_grey():
    grey = np.array([[[[51]]]], np.uint8)
    np.testing.assert_allclose(normalise(grey, wanted((3, 1, 1), **PLAIN)).ravel(), [0.2] * 3, rtol=1e-6)
    colour = np.array([[[[1.0, 0.5, 0.25]]]], np.float32)
    luma = 0.299 * 1.0 + 0.587 * 0.5 + 0.114 * 0.25
    np.testing.assert_allclose(normalise(colour, wanted((1, 1, 1), **GREY)).ravel(), [luma], rtol=1e-6)


def test_fashion_numbers_are_those_it_was_trained_with():
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(1, 28, 28, 1)
    settings = {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"}
    trained = (pixels[..., 0].astype(np.float32) / 255 - 0.2860) / 0.3530
    np.testing.assert_allclose(
        input_of_arrays(pixels, wanted((1, 28, 28), **settings))[:, 0], trained, rtol=1e-6, atol=1e-6
    )


def test_the_centre_is_cropped():
    # 8 wide, 4 high, resized to shorter side 4 (unchanged), then 4 x 4 of the middle: columns 2 to 5
    pixels = np.tile(np.arange(8, dtype=np.uint8) * 10, (4, 1))
    inputs = input_of_image(Image.fromarray(pixels), wanted((1, 4, 4), resize=4, **GREY))
    np.testing.assert_allclose(inputs[0] * 255, np.tile([20, 30, 40, 50], (4, 1)), rtol=1e-6)


def test_halving_is_antialiased_by_hand():
    # Bilinear with support scaled by 2: weights 1/8, 3/8, 3/8, 1/8 inside; at the border those that
    # fall outside are left out and the rest renormalised: (3 a + 3 b + c) / 7.
    row = np.array([0, 80, 160, 240], np.uint8)
    pixels = np.tile(row, (4, 1))
    inputs = input_of_image(Image.fromarray(pixels), wanted((1, 2, 2), resize=2, **GREY))
    left, right = (3 * 0 + 3 * 80 + 160) / 7, (80 + 3 * 160 + 3 * 240) / 7
    np.testing.assert_allclose(inputs[0] * 255, [[round(left), round(right)]] * 2, rtol=1e-6)


def test_one_pixel_stays_visible_when_much_is_shrunk():
    pixels = np.zeros((64, 64), np.uint8)
    pixels[32, 32] = 255
    shrunk = input_of_image(Image.fromarray(pixels), wanted((1, 8, 8), **GREY))
    assert shrunk.max() > 0


def test_without_resize_the_input_size_is_hit_exactly():
    image = Image.new("RGB", (31, 17), (10, 20, 30))
    inputs = input_of_image(image, wanted((3, 5, 9), **PLAIN))
    assert inputs.shape == (3, 5, 9)
    np.testing.assert_allclose(inputs * 255, np.broadcast_to([[[10]], [[20]], [[30]]], (3, 5, 9)), rtol=1e-6)


def test_the_longer_side_follows_in_whole_pixels():
    image = Image.new("L", (101, 50), 7)
    assert input_of_image(image, wanted((1, 24, 24), resize=32, **GREY)).shape == (1, 24, 24)


@pytest.mark.parametrize("size", [(8, 8), (16, 11), (8, 12)])
@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("resize", [None, 8, 10])
def test_arrays_and_files_give_the_same_inputs(size, channels, resize):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    one = channels == "grey"
    settings = {"mean": (0.4,), "std": (0.2,)} if one else {}
    asked = wanted((1 if one else 3, 8, 8), channels=channels, resize=resize, **settings)
    from_files = np.stack([input_of_image(Image.fromarray(image), asked) for image in pixels])
    np.testing.assert_array_equal(input_of_arrays(pixels, asked), from_files)


@pytest.mark.parametrize("channels", ["rgb", "grey"])
def test_float_arrays_are_resized_as_8_bit_ones_are(channels):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    one = channels == "grey"
    asked = wanted((1, 8, 8), resize=10, **GREY) if one else wanted((3, 8, 8), resize=10, **PLAIN)
    floats = input_of_arrays(pixels.astype(np.float32) / 255, asked)
    np.testing.assert_allclose(floats, input_of_arrays(pixels, asked), atol=2.5 / 255)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(4, 20), st.integers(1, 4))
def test_any_picture_becomes_any_input(width, height, resize, side):
    image = Image.new("RGB", (width, height), (255, 255, 255))
    inputs = input_of_image(image, wanted((3, side, side), resize=resize, **PLAIN))
    assert inputs.shape == (3, side, side) and inputs.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(inputs, np.ones_like(inputs))


@pytest.mark.parametrize(
    ("shape", "settings", "says"),
    [
        ((1, 8, 8), {}, "1 input channels, but its preprocessing makes 3"),
        ((3, 8, 8), GREY, "3 input channels, but its preprocessing makes 1"),
        ((4, 8, 8), {}, "4 input channels"),
        ((3, 8, 8), {"mean": (0.0, 0.0)}, "2 means"),
        ((3, 8, 8), {"resize": 7}, "7 pixels cannot be cropped to 8 x 8"),
    ],
)
def test_a_format_no_image_can_fill_is_refused(shape, settings, says):
    with pytest.raises(DataError, match=says) as caught:
        check_format(wanted(shape, **settings))
    assert caught.value.slug == "preprocessing-mismatch"


def test_usual_formats_pass():
    check_format(wanted((3, 224, 224), resize=256))
    check_format(wanted((1, 28, 28), **GREY))
