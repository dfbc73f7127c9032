"""Inception v3 (Szegedy et al. 2015, arXiv 1512.00567) with torchvision's layout and state-dict keys.

Without the auxiliary classifier, which only training uses: the keys `AuxLogits.*` of torchvision's
official file are dropped when it is loaded. torchvision re-centres ImageNet pixels inside the network
(`transform_input`); here the card's mean and deviation of 0.5 say the same thing.
"""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from tensordyno.models.layers import ConvNormRelu

NETWORKS: dict[str, dict[str, Any]] = {
    "inception_v3": {
        "input_shape": (3, 299, 299),
        "preprocessing": {"resize": 342, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    }
}


def _conv(inputs: int, outputs: int, height: int, width: int | None = None) -> ConvNormRelu:
    width = width or height
    return ConvNormRelu(inputs, outputs, (height, width), padding=(height // 2, width // 2))


def _halve(inputs: int, outputs: int) -> ConvNormRelu:
    return ConvNormRelu(inputs, outputs, 3, stride=2)


class Branches(nn.Module):
    """Chains of convolutions over one input, joined along the channels; the keys spell the wiring.

    `branch5x5_1` feeds `branch5x5_2`; `branch3x3_2a` and `branch3x3_2b` both read `branch3x3_1`; a key
    without a number is a chain of one. `branch_pool`, if there is one, reads the pooled input, which is
    otherwise passed through; it comes last.
    """

    def __init__(self, pool: nn.Module, **convs: ConvNormRelu) -> None:
        super().__init__()
        self.pool = pool
        for key, conv in convs.items():
            self.add_module(key, conv)
        keys = [key for key in convs if key != "branch_pool"]
        chains = groupby(keys, lambda key: key.rpartition("_")[0] or key)
        self.chains = [
            [list(step) for _, step in groupby(chain, lambda k: k.rstrip("ab"))] for _, chain in chains
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, c, h, w) to (n, sum of the branches' channels, h', w')."""
        outputs: list[Tensor] = []
        for chain in self.chains:
            y = [x]
            for step in chain:
                y = [self.get_submodule(key)(y[0]) for key in step]
            outputs += y
        pooled = self.pool(x)
        outputs.append(self.get_submodule("branch_pool")(pooled) if hasattr(self, "branch_pool") else pooled)
        return torch.cat(outputs, dim=1)


def _mean3() -> nn.Module:
    return nn.AvgPool2d(3, 1, padding=1)


def _block_a(inputs: int, pooled: int) -> Branches:  # figure 5 of the paper
    return Branches(
        _mean3(),
        branch1x1=_conv(inputs, 64, 1),
        branch5x5_1=_conv(inputs, 48, 1),
        branch5x5_2=_conv(48, 64, 5),
        branch3x3dbl_1=_conv(inputs, 64, 1),
        branch3x3dbl_2=_conv(64, 96, 3),
        branch3x3dbl_3=_conv(96, 96, 3),
        branch_pool=_conv(inputs, pooled, 1),
    )


def _block_b() -> Branches:  # figure 10: 35x35 to 17x17
    return Branches(
        nn.MaxPool2d(3, 2),
        branch3x3=_halve(288, 384),
        branch3x3dbl_1=_conv(288, 64, 1),
        branch3x3dbl_2=_conv(64, 96, 3),
        branch3x3dbl_3=_halve(96, 96),
    )


def _block_c(width: int) -> Branches:  # figure 6 with n = 7
    return Branches(
        _mean3(),
        branch1x1=_conv(768, 192, 1),
        branch7x7_1=_conv(768, width, 1),
        branch7x7_2=_conv(width, width, 1, 7),
        branch7x7_3=_conv(width, 192, 7, 1),
        branch7x7dbl_1=_conv(768, width, 1),
        branch7x7dbl_2=_conv(width, width, 7, 1),
        branch7x7dbl_3=_conv(width, width, 1, 7),
        branch7x7dbl_4=_conv(width, width, 7, 1),
        branch7x7dbl_5=_conv(width, 192, 1, 7),
        branch_pool=_conv(768, 192, 1),
    )


def _block_d() -> Branches:  # 17x17 to 8x8
    return Branches(
        nn.MaxPool2d(3, 2),
        branch3x3_1=_conv(768, 192, 1),
        branch3x3_2=_halve(192, 320),
        branch7x7x3_1=_conv(768, 192, 1),
        branch7x7x3_2=_conv(192, 192, 1, 7),
        branch7x7x3_3=_conv(192, 192, 7, 1),
        branch7x7x3_4=_halve(192, 192),
    )


def _block_e(inputs: int) -> Branches:  # figure 7
    return Branches(
        _mean3(),
        branch1x1=_conv(inputs, 320, 1),
        branch3x3_1=_conv(inputs, 384, 1),
        branch3x3_2a=_conv(384, 384, 1, 3),
        branch3x3_2b=_conv(384, 384, 3, 1),
        branch3x3dbl_1=_conv(inputs, 448, 1),
        branch3x3dbl_2=_conv(448, 384, 3),
        branch3x3dbl_3a=_conv(384, 384, 1, 3),
        branch3x3dbl_3b=_conv(384, 384, 3, 1),
        branch_pool=_conv(inputs, 192, 1),
    )


class InceptionV3(nn.Sequential):
    """Stem, eleven blocks, mean over the image, one fully connected layer; children run in order.

    Input (n, 3, 299, 299), output logits (n, classes).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        stages = {
            "Conv2d_1a_3x3": _halve(3, 32),
            "Conv2d_2a_3x3": ConvNormRelu(32, 32, 3),
            "Conv2d_2b_3x3": _conv(32, 64, 3),
            "maxpool1": nn.MaxPool2d(3, 2),
            "Conv2d_3b_1x1": _conv(64, 80, 1),
            "Conv2d_4a_3x3": ConvNormRelu(80, 192, 3),
            "maxpool2": nn.MaxPool2d(3, 2),
            "Mixed_5b": _block_a(192, 32),
            "Mixed_5c": _block_a(256, 64),
            "Mixed_5d": _block_a(288, 64),
            "Mixed_6a": _block_b(),
            "Mixed_6b": _block_c(128),
            "Mixed_6c": _block_c(160),
            "Mixed_6d": _block_c(160),
            "Mixed_6e": _block_c(192),
            "Mixed_7a": _block_d(),
            "Mixed_7b": _block_e(1280),
            "Mixed_7c": _block_e(2048),
            "avgpool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "dropout": nn.Dropout(),
            "fc": nn.Linear(2048, classes),
        }
        for key, stage in stages.items():
            self.add_module(key, stage)


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return {"inception_v3": InceptionV3}[name](classes or 1000)
