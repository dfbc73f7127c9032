"""A PyTorch network bound to one batch on the CPU, at either boundary; `torch_cuda_step` has the GPU's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.engines.base import FloatArray, Step

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How an input must lie to enter the network."""

    device: str
    dtype: "torch.dtype"
    layout: "torch.memory_format"

    def placed(self, images: FloatArray, batch_size: int) -> "torch.Tensor":
        """`images` (n, channels, height, width) as a tensor of its own on the device.

        Fewer images than `batch_size` are repeated there: a large batch then crosses the bus once.
        """
        import torch

        # PyTorch wants to be allowed to write to what it wraps; it does not.
        wrapped = torch.from_numpy(np.require(images, np.float32, ["C", "W"]))
        few = wrapped.to(self.device).to(dtype=self.dtype)
        if len(few) == batch_size:
            return few.to(memory_format=self.layout, copy=True)
        batch = torch.empty(
            (batch_size, *few.shape[1:]), dtype=self.dtype, device=self.device, memory_format=self.layout
        )
        for start in range(0, batch_size, len(few)):
            part = batch[start : start + len(few)]
            part.copy_(few[: len(part)])
        return batch


Network = Callable[["torch.Tensor"], "torch.Tensor"]


def torch_step(network: Network, images: FloatArray, place: Placement, host: bool) -> Step:
    """A step of `network` over one whole batch: from and to host memory, or in PyTorch's own tensors."""
    if host:
        return _HostStep(network, np.require(images, np.float32, ["C", "W"]), place)
    return _OwnStep(network, images, place)


class _HostStep(Step):
    """From a float32 array (batch, channels, height, width) to float32 logits, both NumPy's."""

    def __init__(self, network: Network, images: FloatArray, place: Placement) -> None:
        import torch

        self._network = network
        self._images = images
        self._form: dict[str, Any] = {"dtype": place.dtype, "memory_format": place.layout}
        self._from_numpy = torch.from_numpy
        self._inference_mode = torch.inference_mode
        self._logits: FloatArray | None = None

    def run(self) -> None:
        """One batch."""
        with self._inference_mode():
            images = self._from_numpy(self._images).to(**self._form)  # copies only where it must
            self._logits = self._network(images).float().numpy()

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return finished(self._logits).copy()


class _OwnStep(Step):
    """From the engine's own tensor in its own layout to a tensor of PyTorch's."""

    def __init__(self, network: Network, images: FloatArray, place: Placement) -> None:
        import torch

        self._network = network
        self._inference_mode = torch.inference_mode
        with torch.inference_mode():
            self._images = place.placed(images, len(images))
        self._logits: torch.Tensor | None = None

    def run(self) -> None:
        """One batch."""
        with self._inference_mode():
            self._logits = self._network(self._images)

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        logits: FloatArray = finished(self._logits).float().numpy().copy()
        return logits


def finished(logits: Any) -> Any:
    """The logits of a step. Raises RuntimeError before its first run."""
    if logits is None:
        raise RuntimeError("a step has no output before its first run")
    return logits
