"""Device memory as kernels see it: flat tensors that begin where a view begins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensordyno.forge.memory_plan import ALIGNMENT_BYTES
from tensordyno.forge.program import Format, View

if TYPE_CHECKING:
    import torch

_ELEMENTS = {
    Format.INT8: "int8",
    Format.UINT8: "uint8",
    Format.FP16: "float16",
    Format.BF16: "bfloat16",
    Format.FP32: "float32",
}


def element_type(format: Format) -> "torch.dtype":
    """PyTorch's name for a format."""
    import torch

    found: torch.dtype = getattr(torch, _ELEMENTS[format])
    return found


def allocated(size_bytes: int, device: Any) -> "torch.Tensor":
    """An aligned uint8 tensor (size_bytes,) that holds anything."""
    import torch

    room = torch.empty(size_bytes + ALIGNMENT_BYTES, dtype=torch.uint8, device=device)
    first = -room.data_ptr() % ALIGNMENT_BYTES
    return room[first : first + size_bytes]


class Storages:
    """The `Tensors` of a kernel's launch, over one uint8 tensor for each storage."""

    def __init__(self, storages: Mapping[str, "torch.Tensor"]) -> None:
        self._storages = storages

    def __call__(self, view: View) -> "torch.Tensor":
        """From the view's first element to the end of its storage, in the view's format, flat."""
        elements = self._storages[view.storage].view(element_type(view.format))
        return elements[view.first :]

    def with_more(self, storages: Mapping[str, "torch.Tensor"]) -> "Storages":
        """These and others."""
        return Storages({**self._storages, **storages})

    def images(self, view: View, count: int) -> "torch.Tensor":
        """The elements of the first `count` images, (count, height, width, channels), in place."""
        shape = count, view.height, view.width, view.channels
        strides = view.pixels * view.pitch, view.width * view.pitch, view.pitch, 1
        return self(view).as_strided(shape, strides)
