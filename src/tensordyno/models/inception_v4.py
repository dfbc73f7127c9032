"""Inception v4 (Szegedy et al. 2016, arXiv 1602.07261) with the state-dict keys of timm's `inception_v4`."""

from typing import Any

import torch
from torch import Tensor, nn

from tensordyno.models.layers import Concat, ConvNormRelu

NETWORKS: dict[str, dict[str, Any]] = {
    "inception_v4": {
        "input_shape": (3, 299, 299),
        "preprocessing": {"resize": 341, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    }
}


def _conv(inputs: int, outputs: int, height: int, width: int | None = None) -> ConvNormRelu:
    width = width or height
    return ConvNormRelu(inputs, outputs, (height, width), padding=(height // 2, width // 2))


def _inside(inputs: int, outputs: int, stride: int = 1) -> ConvNormRelu:
    return ConvNormRelu(inputs, outputs, 3, stride)  # 3x3 without padding


def _chain(*convs: nn.Module) -> nn.Sequential:
    return nn.Sequential(*convs)


def _mean_then(inputs: int, outputs: int) -> nn.Sequential:
    return _chain(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), _conv(inputs, outputs, 1))


def _stem() -> tuple[nn.Module, ...]:  # figure 3 of the paper
    return (
        *(_inside(3, 32, 2), _inside(32, 32), _conv(32, 64, 3)),
        Concat(maxpool=nn.MaxPool2d(3, 2), conv=_inside(64, 96, 2)),
        Concat(
            branch0=_chain(_conv(160, 64, 1), _inside(64, 96)),
            branch1=_chain(_conv(160, 64, 1), _conv(64, 64, 1, 7), _conv(64, 64, 7, 1), _inside(64, 96)),
        ),
        Concat(conv=_inside(192, 192, 2), maxpool=nn.MaxPool2d(3, 2)),
    )


def _block_a() -> Concat:  # figure 4: 35x35
    return Concat(
        branch0=_conv(384, 96, 1),
        branch1=_chain(_conv(384, 64, 1), _conv(64, 96, 3)),
        branch2=_chain(_conv(384, 64, 1), _conv(64, 96, 3), _conv(96, 96, 3)),
        branch3=_mean_then(384, 96),
    )


def _reduction_a() -> Concat:  # figure 7: 35x35 to 17x17
    return Concat(
        branch0=_inside(384, 384, 2),
        branch1=_chain(_conv(384, 192, 1), _conv(192, 224, 3), _inside(224, 256, 2)),
        branch2=nn.MaxPool2d(3, 2),
    )


def _block_b() -> Concat:  # figure 5: 17x17
    return Concat(
        branch0=_conv(1024, 384, 1),
        branch1=_chain(_conv(1024, 192, 1), _conv(192, 224, 1, 7), _conv(224, 256, 7, 1)),
        branch2=_chain(
            _conv(1024, 192, 1),
            *(_conv(192, 192, 7, 1), _conv(192, 224, 1, 7)),
            *(_conv(224, 224, 7, 1), _conv(224, 256, 1, 7)),
        ),
        branch3=_mean_then(1024, 128),
    )


def _reduction_b() -> Concat:  # figure 8: 17x17 to 8x8
    return Concat(
        branch0=_chain(_conv(1024, 192, 1), _inside(192, 192, 2)),
        branch1=_chain(
            _conv(1024, 256, 1), _conv(256, 256, 1, 7), _conv(256, 320, 7, 1), _inside(320, 320, 2)
        ),
        branch2=nn.MaxPool2d(3, 2),
    )


class BlockC(nn.Module):
    """Figure 6 of the paper, 8x8: two of the four branches end in a fork of 1x3 and 3x1."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = _conv(1536, 256, 1)
        self.branch1_0 = _conv(1536, 384, 1)
        self.branch1_1a = _conv(384, 256, 1, 3)
        self.branch1_1b = _conv(384, 256, 3, 1)
        self.branch2_0 = _conv(1536, 384, 1)
        self.branch2_1 = _conv(384, 448, 3, 1)
        self.branch2_2 = _conv(448, 512, 1, 3)
        self.branch2_3a = _conv(512, 256, 1, 3)
        self.branch2_3b = _conv(512, 256, 3, 1)
        self.branch3 = _mean_then(1536, 256)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1536, h, w) to the same shape."""
        short = self.branch1_0(x)
        long = self.branch2_2(self.branch2_1(self.branch2_0(x)))
        forks = (self.branch1_1a(short), self.branch1_1b(short), self.branch2_3a(long), self.branch2_3b(long))
        return torch.cat([self.branch0(x), *forks, self.branch3(x)], dim=1)


class InceptionV4(nn.Module):
    """Stem, 4 blocks A, 7 blocks B, 3 blocks C with reductions between, one fully connected layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_stem(),
            *(_block_a() for _ in range(4)),
            _reduction_a(),
            *(_block_b() for _ in range(7)),
            _reduction_b(),
            *(BlockC() for _ in range(3)),
        )
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.last_linear = nn.Linear(1536, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, 299, 299) to logits (n, classes)."""
        return self.last_linear(self.dropout(self.mean(self.features(x)).flatten(1)))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return {"inception_v4": InceptionV4}[name](classes or 1000)
