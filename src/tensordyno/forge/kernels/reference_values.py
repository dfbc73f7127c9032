"""The numbers of one tensor over a batch, and how real numbers become integers of a scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensordyno.forge.graph import Array, Clamp, Tensor


@dataclass(frozen=True, slots=True)
class Value:
    """Numbers (n, *shape): int8 (or uint8 of an unsigned tensor) with a scale, float32 without."""

    numbers: Array
    scale: np.float32 | None = None

    @property
    def real(self) -> NDArray[np.float32]:
        """The numbers times the scale, one float32 rounding."""
        numbers = self.numbers.astype(np.float32, copy=False)
        return numbers if self.scale is None else numbers * self.scale


def limits(tensor: Tensor) -> tuple[int, int]:
    """The smallest and the largest integer of a tensor that has a scale."""
    return (0, 255) if tensor.unsigned else (-128, 127)


def reciprocal(scale: float) -> np.float32:
    """1 / scale, rounded once to float32: what kernels multiply by."""
    return np.float32(1) / np.float32(scale)


def store(real: NDArray[np.float32], tensor: Tensor) -> Value:
    """Real, finite numbers as the tensor holds them.

    steps = clip(round half to even(real * reciprocal(scale))); numbers as they are where it has no scale.
    Scaling and rounding keep order, so that a kernel may clamp before or after either, with bounds that were
    scaled and rounded alike, and get the same bits.
    """
    if tensor.scale is None:
        return Value(real)
    return store_steps(real * reciprocal(tensor.scale), tensor)


def store_steps(steps: NDArray[np.float32], tensor: Tensor) -> Value:
    """Numbers in units of the tensor's scale, rounded half to even and saturated."""
    assert tensor.scale is not None
    low, high = limits(tensor)
    kind = np.uint8 if tensor.unsigned else np.int8
    return Value(np.clip(np.rint(steps), low, high).astype(kind), np.float32(tensor.scale))


def clamped(real: NDArray[np.float32], clamp: Clamp | None) -> NDArray[np.float32]:
    """Real numbers held between the bounds of an activation, which are float32."""
    if clamp is None:
        return real
    return np.clip(real, np.float32(clamp.low), np.float32(clamp.high))


def per_channel(numbers: Array) -> Array:
    """(channels,) as (channels, 1, 1), to meet images (n, channels, height, width)."""
    return numbers.reshape(-1, 1, 1)
