"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842): torchvision's with batch norm, and Caffe's original.

Both are without the two auxiliary classifiers, which only training uses; the keys `aux1.*` and `aux2.*`
of torchvision's official file are dropped when it is loaded. torchvision re-centres ImageNet pixels
inside the network (`transform_input`); here the card's mean and deviation of 0.5 say the same thing.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tensordyno.models.layers import Concat, ConvNormRelu, LocalResponseNorm

NETWORKS: dict[str, dict[str, Any]] = {
    "googlenet": {"preprocessing": {"resize": 256, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}},
    # BVLC GoogLeNet: BGR, 0..255, minus the mean (104, 117, 123)
    "googlenet_bvlc": {
        "preprocessing": {
            "resize": 256,
            "mean": (0.40784314, 0.45882353, 0.48235294),
            "std": (0.00392157, 0.00392157, 0.00392157),
            "channels": "bgr",
        }
    },
}

Conv = Callable[..., nn.Module]

# 1x1 | 1x1 reduce, 3x3 | 1x1 reduce, 5x5 | after the pool: Table 1 of the paper
_STAGES: dict[str, tuple[tuple[int, int, int, int, int, int], ...]] = {
    "3": ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    "4": (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    "5": ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
}


class ConvRelu(nn.Sequential):
    """Convolution with bias and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU())


def _inception(conv: Conv, inputs: int, widths: tuple[int, ...], wide: int) -> Concat:
    one, reduce3, three, reduce5, five, pooled = widths
    return Concat(
        branch1=conv(inputs, one, 1),
        branch2=nn.Sequential(conv(inputs, reduce3, 1), conv(reduce3, three, 3, padding=1)),
        branch3=nn.Sequential(conv(inputs, reduce5, 1), conv(reduce5, five, wide, padding=wide // 2)),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(inputs, pooled, 1)),
    )


class GoogLeNet(nn.Module):
    """Stem, nine inception blocks in three stages, mean over the image, one fully connected layer.

    `wide` is the kernel of the third branch: 5 in the paper, 3 in torchvision. `last_pool` is the kernel
    before stage 5: 3 in the paper, 2 in torchvision. `norm` makes the stem's normalisation.
    """

    def __init__(
        self, conv: Conv, norm: Callable[[], nn.Module], wide: int, last_pool: int, classes: int
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, 7, 2, padding=3)
        self.norm1 = norm()
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3, padding=1)
        self.norm2 = norm()
        inputs = 192
        for stage, blocks in _STAGES.items():
            for letter, widths in zip("abcde", blocks, strict=False):
                self.add_module(f"inception{stage}{letter}", _inception(conv, inputs, widths, wide))
                inputs = widths[0] + widths[2] + widths[4] + widths[5]
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last_pool = nn.MaxPool2d(last_pool, 2, ceil_mode=True)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, 224, 224) to logits (n, classes)."""
        x = self.norm1(self.pool(self.conv1(x)))
        x = self.norm2(self.conv3(self.conv2(x)))
        for stage, pool in zip(_STAGES, (self.pool, self.pool, self.last_pool), strict=True):
            x = pool(x)
            for letter, _ in zip("abcde", _STAGES[stage], strict=False):
                x = getattr(self, f"inception{stage}{letter}")(x)
        return self.fc(self.dropout(self.mean(x).flatten(1)))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    if name == "googlenet":
        return GoogLeNet(ConvNormRelu, nn.Identity, wide=3, last_pool=2, classes=classes or 1000)
    return GoogLeNet(ConvRelu, LocalResponseNorm, wide=5, last_pool=3, classes=classes or 1000)
