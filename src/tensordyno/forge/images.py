"""Images as callers have them: what arrays they are, and whether they are in the network's own form."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.errors import UsageError
from tensordyno.forge.program import View
from tensordyno.forge.storages import element_type

if TYPE_CHECKING:
    import torch


def as_tensor(images: Any) -> "torch.Tensor":
    """A PyTorch tensor over the same memory: of a tensor, a NumPy array, or whatever speaks DLPack.

    A NumPy array that cannot be written is copied. Raises UsageError (`bad-images`) for anything else.
    """
    import torch
    from torch.utils.dlpack import from_dlpack

    if isinstance(images, torch.Tensor):
        return images
    if isinstance(images, np.ndarray):
        return torch.from_numpy(np.require(images, requirements=["W"]))
    if hasattr(images, "__dlpack__"):
        return from_dlpack(images)
    kind = type(images).__name__
    raise _refusal(f"Images are to be an array (PyTorch, NumPy, DLPack), not {kind}.")


def is_native(images: "torch.Tensor", view: View) -> bool:
    """Whether images are (n, height, width, channels) in the elements of the network's input.

    If not they are float32 (n, channels, height, width). Raises UsageError (`bad-images`) for neither.
    """
    import torch

    shape, native = tuple(images.shape[1:]), element_type(view.format)
    planar = view.channels, view.height, view.width
    if images.dim() == 4 and images.dtype == torch.float32 and shape == planar:
        return False
    if images.dim() == 4 and images.dtype == native and shape == (view.height, view.width, view.channels):
        return True
    raise _refusal(
        f"Images are {_text(images)}, but this network takes float32 (n, {', '.join(map(str, planar))})"
        f" or {_name(native)} (n, {view.height}, {view.width}, {view.channels})."
    )


def _text(images: "torch.Tensor") -> str:
    return f"{_name(images.dtype)} ({', '.join(map(str, images.shape))})"


def _name(dtype: "torch.dtype") -> str:
    return str(dtype).removeprefix("torch.")


def _refusal(sentence: str) -> UsageError:
    return UsageError("bad-images", sentence, "See help(tensordyno.forge.Engine).")
