"""Windows of an image: how many there are, and the pixels that each one sees."""

from collections.abc import Iterator

import numpy as np

from tensordyno.forge.graph import Array, Edges, Pair


def window_count(size: int, kernel: int, stride: int, edges: Pair, ceil: bool = False) -> int:
    """How many windows fit along an axis of `size` pixels with `edges` pixels of padding before and after.

    `kernel` is the extent of a window, dilation counted in. With `ceil` a last window may hang over, unless
    it would start in the padding behind the image (ONNX, AveragePool-19 and MaxPool-12; PyTorch's rule).
    """
    free = size + sum(edges) - kernel
    if not ceil:
        return free // stride + 1
    count = -(-free // stride) + 1
    return count - ((count - 1) * stride >= size + edges[0])


def extent(kernel: Pair, dilation: Pair) -> Pair:
    """The pixels that a kernel spans with its holes: (kernel - 1) * dilation + 1."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def output_size(images: Array, kernel: Pair, stride: Pair, pads: Edges, ceil: bool = False) -> Pair:
    """Height and width of what windows over images (..., height, width) make."""
    top, left, bottom, right = pads
    height, width = images.shape[-2:]
    rows = window_count(height, kernel[0], stride[0], (top, bottom), ceil)
    return rows, window_count(width, kernel[1], stride[1], (left, right), ceil)


def pad_images(images: Array, pads: Edges, fill: float = 0) -> Array:
    """Images (..., height, width) with rows and columns of `fill` around."""
    top, left, bottom, right = pads
    if not any(pads):
        return images
    around = [(0, 0)] * (images.ndim - 2) + [(top, bottom), (left, right)]
    return np.pad(images, around, constant_values=fill)


def columns(image: Array, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """One padded image (c, height, width) as (c, kernel height, kernel width, windows): im2col, a copy."""
    spans = extent(kernel, dilation)
    seen = np.lib.stride_tricks.sliding_window_view(image, spans, (1, 2))
    seen = seen[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return seen.transpose(0, 3, 4, 1, 2).reshape(len(image), *kernel, -1)


def taps(images: Array, kernel: Pair, stride: Pair, pads: Edges, size: Pair, fill: float) -> Iterator[Array]:
    """For each place in the window, row by row: what all windows see there, (..., *size)."""
    top, left, bottom, right = pads
    height, width = images.shape[-2:]
    below = max(bottom, (size[0] - 1) * stride[0] + kernel[0] - height - top)  # a ceiling hangs over
    beside = max(right, (size[1] - 1) * stride[1] + kernel[1] - width - left)
    padded = pad_images(images, (top, left, below, beside), fill)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            tap = padded[..., row :: stride[0], column :: stride[1]]
            yield tap[..., : size[0], : size[1]]
