"""A network compiled by forge, bound to a batch on a GPU, on the steps of the PyTorch engines.

Kernels read and write fixed places, so images go where the executable has its input, and a step holds the
executable for itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tensordyno.engines.base import FloatArray, Step
from tensordyno.engines.torch_cuda_step import CudaDeviceStep, CudaHostStep
from tensordyno.engines.torch_step import Placement
from tensordyno.vocabulary import Boundary

if TYPE_CHECKING:
    import torch

    from tensordyno.forge.runtime import Executable

_DEPTH = {Boundary.DEVICE: 1, Boundary.HOST: 2}


def forge_step(
    executable: "Executable", images: FloatArray, device: str, boundary: Boundary, *, graph: bool, queue: int
) -> Step:
    """A step that runs `images` (n, channels, height, width); fewer than a batch are repeated.

    On the device boundary they lie there already as the first layer reads them: int8, channels last. On the
    host boundary they cross the bus as float32 and are converted there. `queue`: batches in flight, 0 for
    what the boundary is used to.
    """
    kind, entrance = (
        (CudaHostStep, Converting) if boundary is Boundary.HOST else (CudaDeviceStep, NativePlacement)
    )
    place = entrance.of(executable, device)

    def network(_: "torch.Tensor") -> "torch.Tensor":
        executable.run()
        return executable.logits

    depth = queue or _DEPTH[boundary]
    return kind(network, images, place, executable.batch_size, graph=graph, depth=depth)


def answers(executable: "Executable", images: FloatArray, device: str) -> FloatArray:
    """Logits (batch, classes) of a batch, without events and graphs."""
    NativePlacement.of(executable, device).placed(images, executable.batch_size)
    executable.run()
    logits: FloatArray = executable.logits.cpu().numpy().copy()
    return logits


@dataclass(frozen=True, kw_only=True)
class NativePlacement(Placement):
    """Images go into an executable's own input: integers or reals in its format, channels last."""

    executable: "Executable"

    @classmethod
    def of(cls, executable: "Executable", device: str) -> "NativePlacement":
        """The placement into this executable."""
        import torch

        dtype = executable.input.dtype
        return cls(executable=executable, device=device, dtype=dtype, layout=torch.channels_last)

    def placed(self, images: FloatArray, batch_size: int) -> "torch.Tensor":
        """The input (batch, height, width, channels), filled: each image is converted once."""
        import torch

        few = torch.from_numpy(np.require(images[:batch_size], np.float32, ["C", "W"])).to(self.device)
        self.executable.enter(few)
        batch = self.executable.input
        for start in range(len(few), batch_size, len(few)):
            part = batch[start : start + len(few)]
            part.copy_(batch[: len(part)])
        return batch


class Converting(NativePlacement):
    """The same for a step that fills the input anew for each batch, by `copy_` of float32 images."""

    def placed(self, images: FloatArray, batch_size: int) -> "torch.Tensor":
        """What stands for the input: its `copy_` takes (batch, channels, height, width) on the device."""
        super().placed(images, batch_size)
        return cast("torch.Tensor", _Entrance(self.executable))


class _Entrance:
    """The side of an input that a host step knows."""

    def __init__(self, executable: "Executable") -> None:
        self._executable = executable

    def copy_(self, images: "torch.Tensor") -> Any:
        """Convert a batch on the current stream."""
        self._executable.enter(images)
