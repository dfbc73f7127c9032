"""A PyTorch network bound to one batch, at either boundary."""

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

    def placed(self, images: FloatArray) -> "torch.Tensor":
        """`images` (batch, channels, height, width) as a tensor of its own on the device."""
        import torch

        moved = torch.from_numpy(images).to(self.device)
        return moved.to(dtype=self.dtype, memory_format=self.layout, copy=True)


Network = Callable[["torch.Tensor"], "torch.Tensor"]


def torch_step(network: Network, images: FloatArray, place: Placement, host: bool) -> Step:
    """A step of `network` over `images`: from and to host memory, or on the device only."""
    # PyTorch wants to be allowed to write to what it wraps; it does not.
    images = np.require(images, np.float32, ["C", "W"])
    return _HostStep(network, images, place) if host else _DeviceStep(network, images, place)


class _HostStep(Step):
    """From a float32 array (batch, channels, height, width) to float32 logits, both in host memory."""

    def __init__(self, network: Network, images: FloatArray, place: Placement) -> None:
        import torch

        self._network = network
        self._images = images
        self._device = place.device
        self._form: dict[str, Any] = {"dtype": place.dtype, "memory_format": place.layout}
        self._from_numpy = torch.from_numpy
        self._inference_mode = torch.inference_mode
        self._logits: FloatArray | None = None

    def run(self) -> None:
        """One batch; copying the result to the host waits for the device."""
        with self._inference_mode():
            # To the device first: converting there is faster than here. Neither copies without need.
            images = self._from_numpy(self._images).to(self._device).to(**self._form)
            self._logits = self._network(images).float().cpu().numpy()

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        return _finished(self._logits).copy()


class _DeviceStep(Step):
    """From the engine's own tensor in its own layout to a tensor left on the device."""

    def __init__(self, network: Network, images: FloatArray, place: Placement) -> None:
        import torch

        self._network = network
        self._inference_mode = torch.inference_mode
        self._synchronize = torch.cuda.synchronize if place.device.startswith("cuda") else None
        self._stream_device = place.device
        with torch.inference_mode():
            self._images = place.placed(images)
        self._logits: torch.Tensor | None = None

    def run(self) -> None:
        """One batch, synchronised."""
        with self._inference_mode():
            self._logits = self._network(self._images)
        if self._synchronize is not None:
            self._synchronize(self._stream_device)

    def output(self) -> FloatArray:
        """Logits, float32 (batch, classes)."""
        logits: FloatArray = _finished(self._logits).float().cpu().numpy().copy()
        return logits


def _finished(logits: Any) -> Any:
    if logits is None:
        raise RuntimeError("a step has no output before its first run")
    return logits
