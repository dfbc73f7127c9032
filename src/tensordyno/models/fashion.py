"""Three small networks trained on Fashion-MNIST, with their weights in the package.

LeNet-5 (LeCun et al. 1998) with ReLU and max pooling; a ResNet-8 and a VGG-6 with batch norm.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

NETWORKS: dict[str, dict[str, Any]] = {
    "lenet5_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/lenet5_fashion.npz",
    },
    "resnet8_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/resnet8_fashion.npz",
    },
    "vgg6_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/vgg6_fashion.npz",
    },
}


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut. The short names are the keys of the trained weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.a = _conv(inputs, outputs, stride)
        self.b = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.n = nn.BatchNorm2d(outputs)
        self.d = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, outputs, h/stride, w/stride)."""
        return F.relu(self.n(self.b(self.a(x))) + self.d(x))


class Head(nn.Module):
    """Mean over the image and one fully connected layer."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.f = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to logits (n, classes)."""
        return self.f(F.adaptive_avg_pool2d(x, 1).flatten(1))


def _lenet5(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


def _resnet8(classes: int) -> nn.Sequential:
    blocks = (Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
    return nn.Sequential(_conv(1, 16), *blocks, Head(64, classes))


def _vgg6(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(_conv(1, 16), _conv(16, 16), nn.MaxPool2d(2)),
        *(_conv(16, 32), _conv(32, 32), nn.MaxPool2d(2)),
        *(_conv(32, 64), Head(64, classes)),
    )


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    makers = {"lenet5_fashion": _lenet5, "resnet8_fashion": _resnet8, "vgg6_fashion": _vgg6}
    return makers[name](classes or 10)
