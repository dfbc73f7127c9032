"""What a network costs: parameters, and multiply-accumulates of one image."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn


class Cost(NamedTuple):
    """`parameters` and `macs`, the multiply-accumulates of one image."""

    parameters: int
    macs: int


def count(module: "nn.Module", input_shape: tuple[int, int, int]) -> Cost:
    """Cost of a network in evaluation mode, on the device its parameters are on; `meta` computes nothing.

    Convolutions and matrix products count, as in torchvision's published numbers: pooling, normalisation
    and activations are left out, and a fused multiply-add is one MAC (PyTorch's counter says two FLOP).
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    parameters = list(module.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros((1, *input_shape), device=device))
    return Cost(sum(p.numel() for p in parameters), counter.get_total_flops() // 2)
