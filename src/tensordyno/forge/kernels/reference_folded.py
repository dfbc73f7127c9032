"""The oracle of kernels whose epilogue is folded: the same convolution with one multiplication less a number.

A kernel that takes everything in steps of its output computes
    steps = fma(float32(sum), factor, bias);  steps = fma(float32(integer), residual factor, steps)
    output = clip(round half to even(clip(steps, low, high)))
These bits are not always those of `convolution`: on the `borderline` an integer may be one more or less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensordyno.forge.graph import Convolution, Tensor
from tensordyno.forge.kernels.number_formats import fused_multiply_add
from tensordyno.forge.kernels.reference_convolution import as_images, exact_sums
from tensordyno.forge.kernels.reference_values import Value, per_channel, store_steps


@dataclass(frozen=True, slots=True)
class Epilogue:
    """The constants of a folded epilogue, all float32 and in steps of the output (real without a scale)."""

    factor: NDArray[np.float32]  # (out,)
    bias: NDArray[np.float32]  # (out,)
    residual_factor: np.float32  # 0 without a residual
    low: np.float32
    high: np.float32


def fold(node: Convolution, inputs: Sequence[Tensor], output: Tensor) -> Epilogue:
    """The constants of a convolution of integers, computed in float64 and rounded once each.

    A residual without a scale is real. Raises ValueError where the image or the weights have no scale.
    """
    image = inputs[0]
    if image.scale is None or node.weight_scale is None:
        raise ValueError(f"{node.name} is not a convolution of integers.")
    step = 1.0 if output.scale is None else _exact(output.scale)
    bias = np.zeros(len(node.weight)) if node.bias is None else node.bias.astype(np.float64)
    residual = 0.0 if not node.has_residual else _exact(inputs[1].scale or 1.0)
    low, high = (-np.inf, np.inf) if node.clamp is None else (node.clamp.low, node.clamp.high)
    return Epilogue(
        factor=(_exact(image.scale) * node.weight_scale.astype(np.float64) / step).astype(np.float32),
        bias=(bias / step).astype(np.float32),
        residual_factor=np.float32(residual / step),
        low=np.float32(low / step),
        high=np.float32(high / step),
    )


def folded_convolution(
    node: Convolution, inputs: Sequence[Value], output: Tensor, *, contracts: bool = True
) -> Value:
    """What a kernel with that epilogue makes, bit for bit; inputs as for `convolution`.

    With `contracts` false each multiply-add rounds twice, as in Triton's interpreter, which has no other.
    """
    epilogue = fold(node, [_tensor(value) for value in inputs], output)
    multiply_add = fused_multiply_add if contracts else _multiply_add
    sums = exact_sums(node, inputs[0].numbers).astype(np.float32)
    steps = multiply_add(sums, per_channel(epilogue.factor), per_channel(epilogue.bias))
    if node.has_residual:
        other = as_images(inputs[1].numbers).astype(np.float32)
        steps = multiply_add(other, epilogue.residual_factor, steps)
    steps = np.clip(steps, epilogue.low, epilogue.high).reshape(len(steps), *output.shape)
    return Value(steps) if output.scale is None else store_steps(steps, output)


def _multiply_add(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[np.float32]:
    return np.add(np.multiply(a, b, dtype=np.float32), c, dtype=np.float32)


def _tensor(value: Value) -> Tensor:
    return Tensor("", value.numbers.shape[1:], None if value.scale is None else float(value.scale))


def _exact(scale: float) -> float:
    """A scale as it is kept, in float32."""
    return float(np.float32(scale))
