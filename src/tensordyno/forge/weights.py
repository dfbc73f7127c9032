"""The numbers of a network on the device, placed once and shared by its batch sizes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.forge.graph import Array
from tensordyno.forge.kernels.base import Kernel
from tensordyno.forge.program import Operation

if TYPE_CHECKING:
    import torch


class Weights:
    """What each kernel wants of an operation's weights. Two kernels may want them in two orders."""

    def __init__(self, device: "torch.device") -> None:
        self._device = device
        self._placed: dict[tuple[int, str], tuple[Operation, Mapping[str, Any]]] = {}

    def of(self, kernel: Kernel, operation: Operation) -> Mapping[str, Any]:
        """Tensors on the device by the kernel's names for them; copied there when asked for first."""
        key = _key(kernel, operation)
        if key not in self._placed:
            placed = {name: self._place(array) for name, array in kernel.weights(operation).items()}
            self._placed[key] = operation, placed  # keeps the node, and so its id
        return self._placed[key][1]

    def keep_only(self, used: Iterable[tuple[Kernel, Operation]]) -> None:
        """Forget what no kernel of these pairs wants."""
        keys = {_key(kernel, operation) for kernel, operation in used}
        self._placed = {key: placed for key, placed in self._placed.items() if key in keys}

    @property
    def size_bytes(self) -> int:
        """Of all that is placed."""
        tensors = (tensor for _, placed in self._placed.values() for tensor in placed.values())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _place(self, array: Array) -> "torch.Tensor":
        import torch

        own = np.require(array, requirements=["C", "W"])  # PyTorch warns of arrays that cannot be written
        return torch.from_numpy(own).to(self._device)


def _key(kernel: Kernel, operation: Operation) -> tuple[int, str]:
    """Parts of a fused operation are made anew each time they are asked for, but of the same nodes."""
    return id(operation.node), kernel.name
