"""Weights of a network: seeded random ones that keep activations well-conditioned, or a checkpoint's."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tensordyno.errors import DataError

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn
    from torch.nn.modules.batchnorm import _BatchNorm

_BIAS_STD = 0.1  # not zero, so that an engine which forgets a bias is found out
_NOISE_IMAGES = 8
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # training-only heads in torchvision's official files
_COUNTER = "num_batches_tracked"  # used by training only; older files lack it


def initialise(module: "nn.Module", input_shape: tuple[int, int, int], seed: int) -> None:
    """Fill `module` with He/Gaussian weights and batch-norm statistics, from `seed` alone.

    Convolutions and linear layers get N(0, 2/fan_in) (He et al. 2015, arXiv 1502.01852, equation 10).
    The batch-norm statistics are those of one batch of Gaussian noise images; see `_settle_norm` for
    the factors and offsets. The global random state is not touched, and parameters of other kinds of
    layer keep the values that their constructor gave them.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    generator = torch.Generator().manual_seed(seed)
    layers = list(module.eval().modules())
    hooks = [
        layer.register_forward_pre_hook(lambda norm, inputs: _settle_norm(norm, inputs[0], generator))
        for layer in layers
        if isinstance(layer, _BatchNorm)
    ]
    with torch.no_grad():
        for layer in layers:
            _draw_weights(layer, generator)
        module(torch.randn((_NOISE_IMAGES, *input_shape), generator=generator))
    for hook in hooks:
        hook.remove()


def _draw_weights(layer: "nn.Module", generator: "Generator") -> None:
    from torch import nn

    if isinstance(layer, nn.Conv2d | nn.Linear):
        layer.weight.normal_(0, math.sqrt(2 / layer.weight[0].numel()), generator=generator)
        if layer.bias is not None:
            layer.bias.normal_(0, _BIAS_STD, generator=generator)


def _settle_norm(norm: "_BatchNorm", x: "Tensor", generator: "Generator") -> None:
    """Give a batch norm the statistics of its input `x`, and affine parameters that only rescale it.

    Random networks that centre every channel are chaotic: a rounding error grows by 21 % a layer (Yang
    et al. 2019, arXiv 1902.08129, section 1), until nothing is left to compare between two precisions.
    So factor and offset undo the centring: together they divide the layer's whole input by one number,
    its root mean square, which puts the network where He's argument holds and errors do not grow.
    """
    import torch

    over = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x, over, correction=0)
    norm.reset_running_stats()
    if norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    if norm.affine:
        scale = x.square().mean().rsqrt()
        norm.weight.copy_((variance + norm.eps).sqrt() * scale)
        norm.bias.normal_(0, _BIAS_STD, generator=generator).add_(mean * scale)


def load_checkpoint(module: "nn.Module", path: Path) -> None:
    """Copy a checkpoint (.pt, .pth, .safetensors, .npz) into `module`.

    A state dict may lie under the key `state_dict`, and its keys may begin with `module.`. Auxiliary
    heads of torchvision's official files are dropped; `num_batches_tracked` may be missing.
    Raises DataError: `missing-checkpoint`, `unreadable-checkpoint`, or `wrong-checkpoint` when the
    file belongs to another network.
    """
    found = {k: v for k, v in _read(path).items() if not k.startswith(_AUXILIARY)}
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in found and not key.endswith(_COUNTER)]
    unexpected = [key for key in found if key not in wanted and not key.endswith(_COUNTER)]
    reshaped = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or unexpected or reshaped:
        shapes = (f"{k} is {_shape(found[k])}, not {_shape(wanted[k])}" for k in reshaped)
        reasons = (
            _first(missing, len(missing), "missing"),
            _first(unexpected, len(unexpected), "unexpected"),
            _first(shapes, len(reshaped), "of another shape"),
        )
        raise DataError(
            "wrong-checkpoint",
            f"{path} does not fit this network: {'; '.join(filter(None, reasons))}.",
            "Name the network that the file was saved from.",
        )
    module.load_state_dict({k: v for k, v in found.items() if k in wanted}, strict=False)


def _first(keys: Iterable[str], count: int, what: str) -> str:
    return f"{count} {'key' if count == 1 else 'keys'} {what} (first: {next(iter(keys))})" if count else ""


def _shape(tensor: "Tensor") -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _read(path: Path) -> "dict[str, Tensor]":
    import torch

    if not path.is_file():
        raise DataError("missing-checkpoint", f"There is no checkpoint file {path}.", "Check the path.")
    try:
        content = _READERS[path.suffix](path)
    except KeyError:
        raise _unreadable(path, f"its ending is not one of {', '.join(_READERS)}") from None
    except Exception as wrong:  # each library has its own errors for a broken file
        raise _unreadable(path, str(wrong).strip().partition("\n")[0] or type(wrong).__name__) from wrong
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise _unreadable(path, "it holds no state dict, that is, names with tensors")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        "unreadable-checkpoint",
        f"{path} cannot be read as a checkpoint: {reason}.",
        "Save it again with torch.save(model.state_dict(), 'FILE.pth').",
    )


def _read_torch(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)  # never runs code from the file


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_npz(path: Path) -> Any:
    import torch

    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:  # closed if it is broken
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


_READERS = {".pt": _read_torch, ".pth": _read_torch, ".safetensors": _read_safetensors, ".npz": _read_npz}
