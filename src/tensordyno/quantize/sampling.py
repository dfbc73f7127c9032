"""Which values of a tensor are counted: of every image the same fixed, evenly spread sample.

Counting every value takes about as long as computing it. A few thousand of each image are enough: 1,250
images give five million a tensor, and the largest value is known exactly from elsewhere.

Of planes (channels, height, width) a coarse grid is taken, the same positions in every channel. It begins
in the first row and column. Padding makes values at the border differ, so they must not count for more
than they are: rows and columns at the border are kept in so many channels only, evenly spread, that their
share of the sample is their share of the plane. Other tensors give every n-th value, n prime to all axes.
"""

import math

import numpy as np
from numpy.typing import NDArray

WHOLE = 16384  # values an image; tensors up to this size are counted completely
_TARGET = 4096  # values an image of the larger ones, roughly
_LEAST_SIDE = 5  # of a plane, for a grid with more than its border in it

# The additive sequence with the least discrepancy in two dimensions (M. Roberts 2018, "R2"): 1/p and
# 1/p**2 of the plastic number p.
_ROWS, _COLUMNS = 0.7548776662466927, 0.5698402909980532

Shape = tuple[int, ...]


def is_planes(shape: Shape) -> bool:
    """Whether a tensor of one image, of that shape, is sampled on a grid over its last two axes."""
    return len(shape) == 3 and min(shape[1:]) >= _LEAST_SIDE and math.prod(shape) > WHOLE


def grid_strides(shape: Shape) -> tuple[int, int]:
    """Steps of the grid along height and width; odd where possible, to keep out of step with 8x8 blocks."""
    _, height, width = shape
    thinning = math.prod(shape) / _TARGET
    down = _stride(height, math.sqrt(thinning))
    return down, _stride(width, thinning / down)


def flat_stride(shape: Shape) -> int:
    """Take every so many-th value of the flattened tensor; prime to all axes, so no column is favoured."""
    stride = math.prod(shape) // _TARGET | 1
    while any(math.gcd(stride, axis) > 1 for axis in shape):
        stride += 2
    return stride


def kept_of_grid(shape: Shape) -> NDArray[np.intp]:
    """Which values of the flattened grid (channels, rows, columns) are counted: positions, ascending."""
    masks = [
        _kept_along(length, stride, _turns(shape[0], spread))
        for length, stride, spread in zip(shape[1:], grid_strides(shape), (_ROWS, _COLUMNS), strict=True)
    ]
    rows, columns = masks
    return np.flatnonzero(rows[:, :, None] & columns[:, None, :])


def _stride(length: int, wanted: float) -> int:
    most = max(1, (length - 1) // 2)  # three positions at least
    stride = min(max(1, round(wanted)), most)
    if stride % 2 == 0:
        stride = stride + 1 if stride < most else max(2, stride - 1)
    return stride


def _turns(channels: int, spread: float) -> NDArray[np.intp]:
    """The channels' places in an order of which every beginning is spread over all of them."""
    return np.argsort(np.argsort(np.arange(channels) * spread % 1.0))


def _kept_along(length: int, stride: int, turns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which positions along one axis are kept, (channels, positions).

    With e of g positions at the border, keeping it in a fraction q of the channels gives it the share
    q e / (q e + g - e) of the sample. That is to be 2 / length.
    """
    positions = np.arange(0, length, stride)
    border = (positions == 0) | (positions == length - 1)
    at_border, inside = int(border.sum()), int((~border).sum())
    fraction = 2 * inside / (at_border * (length - 2))
    kept: NDArray[np.bool_] = ~border[None, :] | (turns < round(fraction * len(turns)))[:, None]
    return kept
