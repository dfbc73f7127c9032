"""The oracle of convolutions and matrix products: exact integer sums, then float32 in the order of graph.py.

Every float32 step rounds once, to nearest even, so that a kernel that takes the same steps has the same bits:
    scaled = float32(sum) * float32(input scale * weight scale)
    value  = scaled + bias;  value += float32(integer) * residual scale
    value  = clamp(value);   steps = value * float32(1 / output scale)
A kernel may contract `* ... + bias` and `+ integer * scale` to fused multiply-adds, which leaves out a
rounding, and may fold 1 / output scale into the factors, the bias and the clamp, which leaves out a
multiplication (reference_folded.py). It then makes another integer in the places of `borderline` only, and
there by one. To clamp behind the last multiplication, with bounds multiplied alike, is the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Array, Convolution, Tensor
from tensordyno.forge.kernels.reference_values import Value, clamped, per_channel, store
from tensordyno.forge.kernels.reference_windows import columns, extent, output_size, pad_images

_WHOLE_FLOAT32 = 2**24  # float32 holds every integer up to here, and float64 up to 2**53
_WHOLE_INT32 = 2**31 - 1
_MARGIN = 2.0**-20  # at most 16 roundings of 2**-24 between any two of the ways to compute


def convolution(node: Convolution, inputs: Sequence[Value], output: Tensor) -> Value:
    """The convolution with bias, residual, activation and rounding that the node asks for.

    The image is (n, channels, height, width), or (n, features) for a matrix product. Sums of real numbers are
    taken in float64 and rounded once to float32.
    """
    value = _products(node, inputs[0])
    if node.bias is not None:
        value += per_channel(node.bias.astype(np.float32))
    if node.has_residual:
        value += as_images(inputs[1].real)
    value = clamped(value, node.clamp)
    return store(value.reshape(-1, *output.shape) if len(output.shape) == 1 else value, output)


def exact_sums(node: Convolution, integers: Array) -> NDArray[np.int32]:
    """Sums of products of integers, exact: (n, out, height, width).

    They are taken by a float matrix product. No partial sum, in whatever order, is larger than the sum of
    |weight| times the largest |input|; while the format holds every integer up to there nothing is rounded.
    Raises OverflowError where that bound does not fit int32, the format of the kernels' sums.
    """
    weights = np.abs(node.weight.astype(np.int64)).reshape(len(node.weight), -1)
    bound = int(weights.sum(axis=1).max()) * int(np.abs(integers.astype(np.int16)).max())
    if bound > _WHOLE_INT32:
        raise OverflowError(f"The sums of {node.name} may reach {bound}, which int32 does not hold.")
    kind = np.float32 if bound <= _WHOLE_FLOAT32 else np.float64
    return _convolve(node, integers, node.weight, kind).astype(np.int32)


def borderline(node: Convolution, inputs: Sequence[Value], output: Tensor) -> NDArray[np.bool_]:
    """Where a kernel that contracts or folds may make an integer one above or below that of `convolution`.

    There value / output scale lies next to a half: nearer than 2**-20 (1e-6) times the sum of the magnitudes
    of the terms of the value, in steps of the output. With terms of 200 steps these are 4 of 10,000 places.
    """
    assert output.scale is not None
    scaled = _products(node, inputs[0]).astype(np.float64)
    terms = [scaled]
    if node.bias is not None:
        terms.append(np.broadcast_to(per_channel(node.bias), scaled.shape))
    if node.has_residual:
        terms.append(as_images(inputs[1].real))
    value = sum(terms, np.zeros_like(scaled))
    held = value if node.clamp is None else np.clip(value, node.clamp.low, node.clamp.high)
    size = np.maximum(sum(np.abs(term) for term in terms), np.abs(held)) / np.float32(output.scale)
    steps = held / np.float32(output.scale)
    near = np.abs(steps - np.floor(steps) - 0.5) <= _MARGIN * size
    return near.reshape(-1, *output.shape)


def is_integer(node: Convolution, image: Value) -> bool:
    """Whether the products are of integers; one real operand makes both real."""
    return image.scale is not None and node.weight_scale is not None


def real_weight(node: Convolution) -> NDArray[np.float32]:
    """The weights as real numbers: float32 as they are, int8 times the scale of their channel."""
    weight = node.weight.astype(np.float32)
    return weight if node.weight_scale is None else weight * node.weight_scale.reshape(-1, 1, 1, 1)


def _products(node: Convolution, image: Value) -> NDArray[np.float32]:
    """Sums of products as real numbers, (n, out, height, width)."""
    if node.weight_scale is None or image.scale is None:  # is_integer, spelled out for types
        return _convolve(node, image.real, real_weight(node), np.float64).astype(np.float32)
    factor = image.scale * node.weight_scale.astype(np.float32)
    return exact_sums(node, image.numbers).astype(np.float32) * per_channel(factor)


def _convolve(node: Convolution, images: Array, weight: Array, kind: type[np.floating[Any]]) -> Array:
    """Sums of products by matrix products in the format `kind`, an image at a time to bound memory."""
    kernel = (weight.shape[2], weight.shape[3])
    images = as_images(images)
    size = output_size(images, extent(kernel, node.dilation), node.stride, node.pads)
    rows = weight.astype(kind).reshape(node.groups, len(weight) // node.groups, -1)
    sums = np.empty((len(images), len(weight), *size), kind)
    for image, out in zip(images, sums, strict=True):
        padded = pad_images(image.astype(kind), node.pads)
        seen = columns(padded, kernel, node.stride, node.dilation)
        out[...] = (rows @ seen.reshape(node.groups, rows.shape[2], -1)).reshape(out.shape)
    return sums


def as_images(numbers: Array) -> Array:
    """(n, features) as images of one pixel; images as they are."""
    return numbers[:, :, None, None] if numbers.ndim == 2 else numbers
