"""Image -> network input: resize, centre crop, scale to 0..1, mean and standard deviation, channel order."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensordyno.datasets.base import FloatArray, InputFormat
from tensordyno.errors import DataError

if TYPE_CHECKING:  # a worker whose images have the right size already needs no Pillow
    from PIL import Image

UInt8Array = NDArray[np.uint8]

_REMEDY = "Say it with --preprocess (resize=256,mean=0.5,std=0.25,channels=grey), or use 'synthetic'."
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode L


def check_format(wanted: InputFormat) -> None:
    """Raise DataError when images cannot become what the network wants to see."""
    channels, height, width = wanted.shape
    settings = wanted.preprocessing
    want = 1 if settings.channels == "grey" else 3
    counts = {len(settings.mean), len(settings.std)}
    if channels != want or not counts <= {1, channels}:
        text = f"The network has {channels} input channels, but its preprocessing makes {want}"
        means = f" with {len(settings.mean)} means and {len(settings.std)} deviations."
        raise DataError("preprocessing-mismatch", text + means, _REMEDY)
    if settings.resize is not None and settings.resize < max(height, width):
        text = f"Images resized to {settings.resize} pixels cannot be cropped to {height} x {width}."
        raise DataError("preprocessing-mismatch", text, _REMEDY)


def input_of_image(image: "Image.Image", wanted: InputFormat) -> FloatArray:
    """One 8-bit image (mode RGB or L) as a network's input: float32, (channels, height, width)."""
    mode = "L" if wanted.preprocessing.channels == "grey" else "RGB"
    pixels = np.asarray(_fit(image.convert(mode), wanted))
    planes: FloatArray = normalise(pixels.reshape(1, *pixels.shape[:2], -1), wanted)[0]
    return planes


def input_of_arrays(pixels: UInt8Array | FloatArray, wanted: InputFormat) -> FloatArray:
    """Many images of one size as a network's inputs: float32, (n, channels, height, width).

    `pixels` has shape (n, height, width, 1 or 3 channels in RGB order), uint8 0..255 or float 0..1.
    """
    _, height, width, channels = pixels.shape
    settings = wanted.preprocessing
    fits = (height, width) == wanted.shape[1:] and settings.resize in (None, min(height, width))
    loses_colour = settings.channels == "grey" and channels == 3
    if pixels.dtype == np.uint8 and (loses_colour or not fits):  # with Pillow's rounding, as from a file
        return np.stack([input_of_image(_picture(image), wanted) for image in pixels])
    if not fits:
        from PIL import Image

        planes = np.moveaxis(pixels.astype(np.float32), 3, 1).reshape(-1, height, width)
        resized = np.stack([np.asarray(_fit(Image.fromarray(plane), wanted)) for plane in planes])
        pixels = np.moveaxis(resized.reshape(-1, channels, *wanted.shape[1:]), 1, 3)
    return normalise(pixels, wanted)


def normalise(pixels: UInt8Array | FloatArray, wanted: InputFormat) -> FloatArray:
    """(pixel - mean) / std of images that have the right size: float32, (n, channels, height, width).

    `pixels` is (n, height, width, channels in RGB order or grey), uint8 0..255 or float 0..1.
    """
    settings = wanted.preprocessing
    scale = np.float32(255) if pixels.dtype == np.uint8 else np.float32(1)
    values = _recolour(pixels.astype(np.float32) / scale, settings.channels)
    mean = np.array(settings.mean, dtype=np.float32)
    std = np.array(settings.std, dtype=np.float32)
    normal: FloatArray = np.ascontiguousarray(((values - mean) / std).transpose(0, 3, 1, 2))
    return normal


def _recolour(values: FloatArray, channels: str) -> FloatArray:
    """RGB or grey values, channels last, in the order a network wants."""
    is_grey = values.shape[3] == 1
    if channels == "grey":
        return values if is_grey else (values @ _LUMA)[..., np.newaxis]
    if is_grey:
        return np.repeat(values, 3, axis=3)
    return values[..., ::-1] if channels == "bgr" else values


def _picture(pixels: UInt8Array) -> "Image.Image":
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _fit(image: "Image.Image", wanted: InputFormat) -> "Image.Image":
    """Resize (bilinear, antialiased) and crop the centre; any mode of Pillow that it can resize."""
    from PIL import Image

    _, height, width = wanted.shape
    shorter = wanted.preprocessing.resize
    if shorter is None:
        return image.resize((width, height), Image.Resampling.BILINEAR)
    wide, high = (shorter * side // min(image.size) for side in image.size)
    resized = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - width) / 2), round((high - height) / 2)
    return resized.crop((left, top, left + width, top + height))
