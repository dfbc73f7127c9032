"""How many images to calibrate on, as the papers write it: '50x25' is 50 batches of 25 images."""

import re

ALLOWED = "batches x images in a batch, for example 50x25"

_LARGEST = 10**7  # images; ImageNet has 1.3 million
_TEXT = re.compile(r"([1-9]\d{0,7})\s*[xX×]\s*([1-9]\d{0,7})")


def parse_images(text: str) -> tuple[int, int]:
    """(batches, images in a batch) of a text.

    Raises ValueError, saying what is wrong, for text of another form and for more than ten million images.

    >>> parse_images("50x25")
    (50, 25)
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is not {ALLOWED}")
    batches, size = int(found[1]), int(found[2])
    if batches * size > _LARGEST:
        raise ValueError(f"'{text}' is {batches * size} images, more than {_LARGEST}")
    return batches, size
