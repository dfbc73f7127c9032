"""ResNets (He et al. 2015, arXiv 1512.03385): torchvision's v1.5, the original v1, pre-activation v2.

They differ in where a bottleneck halves the image (v1: first 1x1; v1.5: 3x3) and in where its
normalisation sits (v2, He et al. 2016, arXiv 1603.05027: before each convolution).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet18": {"preprocessing": {"resize": 256}},
    "resnet34": {"preprocessing": {"resize": 256}},
    "resnet50": {"preprocessing": {"resize": 256}},
    "resnet101": {"preprocessing": {"resize": 256}},
    "resnet152": {"preprocessing": {"resize": 256}},
    "resnet50_v1": {"preprocessing": {"resize": 256}},
    "resnet50_v2": {"preprocessing": {"resize": 256}},
}


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `expansion` is output channels over width."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, width, h/stride, w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up beside a shortcut. `early` halves in the first 1x1 as the paper did (v1)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, *, early: bool = False) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 1, stride if early else 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, 1 if early else stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, 4*width, h/stride, w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class PreActivation(nn.Module):
    """Bottleneck whose normalisation and ReLU come before each convolution; the sum stays untouched."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv(inputs, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, 4 * width, 1)
        same = inputs == 4 * width and stride == 1
        self.downsample = None if same else _conv(inputs, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, 4*width, h/stride, w/stride)."""
        active = F.relu(self.bn1(x))
        y = F.relu(self.bn2(self.conv1(active)))
        y = self.conv3(F.relu(self.bn3(self.conv2(y))))
        return y + (self.downsample(active) if self.downsample else x)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


Block = Callable[[int, int, int], nn.Module]


class ResNet(nn.Module):
    """7x7 stem, four stages of residual blocks, mean over the image, one fully connected layer."""

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(self, block: Block, expansion: int, depths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.conv1 = _conv(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = 64
        for number, depth in enumerate(depths):
            stage, width = nn.Sequential(), 64 * 2**number
            for position in range(depth):
                stage.append(block(inputs, width, 2 if number and not position else 1))
                inputs = expansion * width
            self.add_module(f"layer{number + 1}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def stem(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) to (n, 64, h/4, w/4)."""
        return self.maxpool(F.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) to logits (n, classes)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.head(x).flatten(1))

    def head(self, x: Tensor) -> Tensor:
        """Features (n, c, h, w) to their mean (n, c, 1, 1)."""
        return self.avgpool(x)


class ResNetV2(ResNet):
    """Pre-activation: the stem is a bare convolution, and `bn1` follows the last stage instead."""

    def __init__(self, depths: tuple[int, ...], classes: int) -> None:
        super().__init__(PreActivation, PreActivation.expansion, depths, classes)
        self.bn1 = nn.BatchNorm2d(self.fc.in_features)

    def stem(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) to (n, 64, h/4, w/4)."""
        return self.maxpool(self.conv1(x))

    def head(self, x: Tensor) -> Tensor:
        """Features (n, c, h, w) to the mean (n, c, 1, 1) of what the last normalisation leaves."""
        return self.avgpool(F.relu(self.bn1(x)))


_DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    base, _, version = name.partition("_")
    depths, classes = _DEPTHS[base], classes or 1000
    if version == "v2":
        return ResNetV2(depths, classes)
    if base in ("resnet18", "resnet34"):
        return ResNet(Basic, Basic.expansion, depths, classes)
    return ResNet(partial(Bottleneck, early=version == "v1"), Bottleneck.expansion, depths, classes)
