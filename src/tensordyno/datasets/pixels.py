"""Image file -> 8-bit RGB or greyscale picture, upright; anything else is unreadable."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


class Unreadable(Exception):
    """This file is no image that can be read; the message is the reason."""


def read_picture(path: Path) -> Image.Image:
    """The first frame of an image file in mode RGB or L, turned as its EXIF orientation says.

    Transparency is dropped, CMYK is converted without a colour profile, 16-bit grey keeps its upper
    8 bits. Raises Unreadable for a file that is missing, truncated, too large or of another kind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data and large pictures
            with Image.open(path) as image:
                image.load()
                return _eight_bit(ImageOps.exif_transpose(image))
    except FileNotFoundError as wrong:
        raise Unreadable("no such file") from wrong
    except Exception as wrong:  # Pillow's decoders raise a dozen kinds, struct.error and IndexError included
        raise Unreadable(" ".join(str(wrong).split()) or type(wrong).__name__) from wrong


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise Unreadable("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 256).astype(np.uint8))
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("L")
    if image.mode == "P":  # a palette with transparency converts without a warning only through RGBA
        image = image.convert("RGBA")
    return image.convert("RGB")
