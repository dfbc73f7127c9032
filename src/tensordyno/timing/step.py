"""One batch bound to its buffers: the contract between the engines and the timed loop."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Step(ABC):
    """One batch bound to its buffers: what the timed loop calls.

    `depth` batches are kept in flight. With depth 1 only `run` is called; with more, the loop calls
    `start` and later `finish` with what `start` returned, oldest first.
    """

    depth: int = 1

    @abstractmethod
    def run(self) -> None:
        """One batch across the boundary; complete (synchronised) on return."""

    def start(self) -> Any:
        """Begin one batch and return its handle. Only for steps with depth > 1."""
        raise TypeError(f"{type(self).__name__} has one batch in flight: call run()")

    def finish(self, handle: Any) -> None:
        """Wait for the batch begun with `handle`. Only for steps with depth > 1."""
        raise TypeError(f"{type(self).__name__} has one batch in flight: call run()")

    def device_s(self) -> float | None:
        """Seconds that the batches since the last call took on the device's own clock; None: it has none."""
        return None

    @abstractmethod
    def output(self) -> FloatArray:
        """Logits of the last finished batch, float32, shape (batch, classes). Never timed."""


def filled(images: FloatArray, batch_size: int) -> FloatArray:
    """A batch of `batch_size`: the images repeated in order, or its first ones where there are more."""
    if len(images) >= batch_size:
        return images[:batch_size]
    whole: FloatArray = np.resize(images, (batch_size, *images.shape[1:]))
    return whole
